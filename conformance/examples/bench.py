"""A tap on the desk: the smallest node with a reader, a valve and a meter that are no more than variables, and a rig for the kit.

    tapwire-conformance tap --broker mqtt://core:SECRET@127.0.0.1:1884 --path bar/taps/left --link 1899 --link-to 127.0.0.1:1883 \\
        --rig "python bench.py bar/taps/left SECRET 127.0.0.1:1899 journal.json"

It reads the lines of the kit's rig protocol from its standard input. With `fast` at the end its node is less patient.
"""

import os
import sys
import threading
import time

import smallest_node
from smallest_node import Node

ML_PER_S = 200
STOPPED_S = 0.4
FAST = {"REQUEST_TIMEOUT_S": 0.9, "REPEAT_S": 0.2, "DEBOUNCE_S": 0.1, "TAIL_QUIET_S": 0.1, "SETTLE_S": 0.5, "LEAK_QUIET_S": 0.3,
        "HEARTBEAT_S": 0.8, "RETRY_S": 0.2}  # fmt: skip


class Bench:
    """The three methods that a node needs of its hardware, and the rig's requests."""

    def __init__(self) -> None:
        self._card: str | None = None
        self._open, self._flows, self._leak_ml, self._ml, self._at = False, True, 0.0, 0.0, time.monotonic()
        self._lock = threading.Lock()

    def card(self) -> str | None:
        """The card on the reader."""
        return self._card

    def valve(self, is_open: bool) -> None:
        """Drive the valve."""
        self.ml()
        self._open = is_open

    def ml(self) -> int:
        """The meter, since the start."""
        with self._lock:
            now = time.monotonic()
            could_ml, self._at = (now - self._at) * ML_PER_S, now
            leaked_ml = min(could_ml, self._leak_ml)
            self._leak_ml -= leaked_ml
            self._ml += could_ml if self._open and self._flows else leaked_ml
            return int(self._ml)

    def do(self, request: str) -> str:
        """Carry out a request of the rig protocol; the answer."""
        verb, _, argument = request.partition(" ")
        if verb == "card-on":
            self._card = argument
        elif verb == "card-off":
            self._card = None
        elif verb == "flow":
            self.ml()
            self._flows = argument == "on"
        elif verb in ("pour", "leak"):
            self._leak_ml = int(argument) if verb == "leak" else 0
            self._wait_for(int(argument))
        elif verb == "power-cut":
            os.execv(sys.executable, [sys.executable, *sys.argv, "again"])
        elif verb == "valve":
            return "open" if self._open else "closed"
        elif verb == "flowed":
            return str(self.ml())
        else:
            return f"no I have no {verb}"
        return "ok"

    def _wait_for(self, ml: int) -> None:
        until_ml, last_ml, since = self.ml() + ml, self.ml(), time.monotonic()
        while self.ml() < until_ml - 1 and time.monotonic() - since < STOPPED_S:
            if self.ml() > last_ml:
                last_ml, since = self.ml(), time.monotonic()
            time.sleep(0.01)


def main() -> None:
    """Run the node here, and the rig beside it, until the input ends."""
    path, password, address, file = sys.argv[1:5]
    if "fast" in sys.argv:
        vars(smallest_node).update(FAST)
    host, _, port = address.rpartition(":")
    bench = Bench()
    node = Node(path, (host, int(port)), password, bench, file)

    def serve() -> None:
        if sys.argv[-1] == "again":
            sys.argv.pop()
            print("ok", flush=True)
        for line in sys.stdin:
            print(bench.do(line.strip()), flush=True)
        os._exit(0)

    threading.Thread(target=serve, daemon=True).start()
    while True:
        node.step()
        time.sleep(0.005)


if __name__ == "__main__":
    main()
