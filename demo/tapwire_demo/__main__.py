"""`python -m tapwire_demo [--seconds N] [--folder F]`."""

import signal


def main() -> None:
    """Load the demo and run it. Until then nothing has begun, so Ctrl-C may simply end the process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tapwire_demo import command

    command.main()


if __name__ == "__main__":
    main()
