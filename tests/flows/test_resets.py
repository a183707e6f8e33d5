"""Clients that vanish with a reset, as phones do when they change networks, leave nothing behind."""

import re
import socket
import struct
from urllib.request import urlopen

from tests.flows.installation import Installation
from tests.flows.waiting import wait_until


def imap_connections(installation: Installation) -> float:
    with urlopen(f"http://127.0.0.1:{installation.port('metrics')}/metrics", timeout=5) as answer:
        told = answer.read().decode()
    return sum(float(value) for value in re.findall(r"^waypost_imap_connections\{[^}]*\} (\S+)$", told, re.MULTILINE))


def test_connections_that_are_reset_right_after_a_command_are_let_go(installation: Installation) -> None:
    before = imap_connections(installation)
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", installation.port("imap"))) as client:
            client.recv(1024)
            client.sendall(b"a NOOP\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close is a reset
    wait_until(lambda: imap_connections(installation) <= before, within_s=15, what="the connections are gone")
