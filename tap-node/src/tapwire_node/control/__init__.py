"""The node's own door for a person at the tap: a Unix socket beside the journal.

A service run needs a person, the pins and the journal. Pins and journal belong to the running node alone, so it must be the node
that opens the valve, and the person's program can only ask. A socket does what a spool of files can't: its end is noticed at once,
by either side, and file permissions say who may connect (the node's own user and group). Whoever started a run goes on saying
`hold`; when the socket closes, or no `hold` comes for `limits.service_hold_ms`, the controller closes the valve. When the node
ends, the valve closes with it. Nothing here listens on a network.
"""

from tapwire_node.control.server import ControlServer
from tapwire_node.control.socket_file import control_file

__all__ = ["ControlServer", "control_file"]
