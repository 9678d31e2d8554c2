"""Settings of every client's connection to the broker."""

import socket
from typing import Final

NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
"""The socket's options: a small packet waits for no acknowledgement of the last one, which would cost a round trip 40 to 90 ms."""
