"""The control socket: a Unix socket beside the journal, through which a person's program talks to the running node.

A service run needs the pins and the journal, which belong to the running node, so the program can only ask the node to open the
valve. A socket tells either side at once when the other one is gone, and file permissions say who may connect (the node's user and
group). The program that started a run keeps sending `hold`; when the socket closes, or no `hold` comes for
`limits.service_hold_ms`, the controller closes the valve. Nothing listens on a network.
"""

from tapwire_node.control.server import ControlServer
from tapwire_node.control.socket_file import control_file

__all__ = ["ControlServer", "control_file"]
