"""Whether ports are free before the start, and whether every door answers in its protocol after it."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from deploy.local.child import ServiceFailed
from deploy.local.installation import HOST

_ANSWER_TIMEOUT_S = 5.0
_GREETINGS = {"imap": b"* OK", "pop3": b"+OK", "smtp": b"220", "submission": b"220", "lmtp": b"220"}
_TLS_DOORS = {"imaps": b"* OK", "pop3s": b"+OK", "submissions": b"220"}
_PAGES = {"http": "/healthz", "metrics": "/metrics"}


def demand_free(ports: Mapping[str, int]) -> None:
    """Raises ServiceFailed naming every port that is taken or not allowed, and the way out."""
    refused: dict[str, list[str]] = {}
    for name, port in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                why = "taken" if error.errno == errno.EADDRINUSE else f"not for us to use, {error.strerror}"
                refused.setdefault(why, []).append(f"{port} ({name})")
    if refused:
        told = "; ".join(f"ports {', '.join(ports)}: {why}" for why, ports in refused.items())
        raise ServiceFailed(f"{told}.\nChoose another range, such as: WAYPOST_PORT_BASE=21000 make up")


async def door_answers(door: str, port: int, ca: Path) -> bool:
    """A greeting in the door's protocol, over TLS checked against our authority where the door has it, or a page."""
    context = ssl.create_default_context(cafile=str(ca)) if door in _TLS_DOORS else None
    writer = None
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                HOST, port, ssl=context, server_hostname="localhost" if context else None
            )
            if door in _PAGES:
                writer.write(f"GET {_PAGES[door]} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readline()).split(b" ")[1:2] == [b"200"]
            greeting = await reader.readline()
            return greeting.startswith(_GREETINGS.get(door) or _TLS_DOORS[door])
    except (OSError, asyncio.IncompleteReadError):  # TimeoutError and ssl.SSLError are OSErrors
        return False
    finally:
        if writer is not None:
            writer.transport.abort()
