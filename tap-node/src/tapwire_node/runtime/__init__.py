"""The running process: a tap node or a desk reader, and what connects it to its event loop, its reader and systemd."""
