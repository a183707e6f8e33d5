"""HTTP requests to hosts that somebody else named: push services, pictures in mail. Public addresses only.

What is checked is the address of each connection that is about to be made, after names were resolved and on every
redirect; so no name, no way of writing an address and no answer of a DNS server that changes leads inside. Answers are
bounded in size and time, no proxy of the environment is asked, and no cookie is kept.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import aiohttp

from mailserver.public_addresses import is_public

USER_AGENT = "Waypost"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE_OCTETS = 64 * 1024
_HEADER_OCTETS = 8_190


@dataclass(frozen=True, slots=True)
class OutwardConfig:
    """Requests to push services and for pictures in mail."""

    reach: Literal["public", "loopback", "nothing"] = "public"
    """which addresses may be asked: public ones; this machine too, and without TLS, for tests; or none"""
    connections: int = field(default=100, metadata={"least": 1})  # of one process at once; more requests wait
    connections_per_host: int = field(default=8, metadata={"least": 1})  # the same to one host and port


class OutwardFailed(Exception):
    """There is no answer, or none that we take. Its words are for logs."""


class NotPublic(OutwardFailed):
    """It would lead to an address, or in a way, that nobody may be led to."""


class AnswerTooLarge(OutwardFailed):
    """It was not kept."""


@dataclass(frozen=True, slots=True)
class OutwardAnswer:
    """`headers` by lower-case name, the last of those that come twice. `url` is where it came from in the end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class _Inside(OSError):
    """The address of a connection that is not made."""


class OutwardHttp:
    """One per process. Connections are kept for a while; `close` ends them.

    `tls` is for tests with a certificate of their own.
    """

    def __init__(self, config: OutwardConfig, *, tls: ssl.SSLContext | None = None) -> None:
        self._config = config
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float, most_octets: int
    ) -> OutwardAnswer:
        """Redirects are not followed. Raises OutwardFailed."""
        self._demand_allowed(url, https_only=True)
        return await self._ask("POST", url, headers, body, timeout_s=timeout_s, most_octets=most_octets)

    async def get(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        most_octets: int,
        most_redirects: int,
        https_only: bool = False,
    ) -> OutwardAnswer:
        """Follows redirects; the time is for all of them. Raises OutwardFailed."""
        try:
            async with asyncio.timeout(timeout_s):
                for _ in range(most_redirects + 1):
                    self._demand_allowed(url, https_only=https_only)
                    answer = await self._ask("GET", url, headers, None, timeout_s=timeout_s, most_octets=most_octets)
                    location = answer.headers.get("location", "")
                    if answer.status not in REDIRECTS or not location:
                        return answer
                    url = urljoin(url, location)
        except TimeoutError:
            raise OutwardFailed("it took too long") from None
        except ValueError:
            raise OutwardFailed("it redirects to no URL") from None
        raise OutwardFailed("it redirects too often")

    def allows(self, url: str, *, https_only: bool) -> bool:
        """Whether it may be asked at all, by what stands in it; its addresses are looked at when it is."""
        try:
            self._demand_allowed(url, https_only=https_only)
        except NotPublic:
            return False
        return True

    def _demand_allowed(self, url: str, *, https_only: bool) -> None:
        """Raises NotPublic."""
        is_loopback_allowed = self._config.reach == "loopback"
        if self._config.reach == "nothing":
            raise NotPublic("nothing is asked for")
        try:
            parts = urlsplit(url)
            is_whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_whole = False
        schemes = ("https",) if https_only and not is_loopback_allowed else ("https", "http")
        if not is_whole or parts.scheme not in schemes or parts.username is not None or not _is_plain(url):
            raise NotPublic("no URL of a web server")

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout_s: float,
        most_octets: int,
    ) -> OutwardAnswer:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._opened().request(
                    method,
                    url,
                    headers={"user-agent": USER_AGENT, "accept-encoding": "identity", **headers},
                    data=body,
                    allow_redirects=False,
                ) as answer,
            ):
                told = {name.lower(): value for name, value in answer.headers.items()}
                return OutwardAnswer(answer.status, told, await _read(answer, most_octets), url)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Inside):
                raise NotPublic(str(error.os_error)) from None
            raise OutwardFailed(type(error).__name__) from None
        except aiohttp.InvalidURL:
            raise NotPublic("no URL of a web server") from None
        except TimeoutError:
            raise OutwardFailed("it took too long") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OutwardFailed(type(error).__name__) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._tls if self._tls is not None else True,
                limit=self._config.connections,
                limit_per_host=self._config.connections_per_host,
                socket_factory=self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,  # or a few octets would become very many
                max_line_size=_HEADER_OCTETS,
                max_field_size=_HEADER_OCTETS,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    def _socket(self, address_info: Any) -> socket.socket:
        """For a connection to one address. Raises _Inside."""
        family, kind, protocol, _, address = address_info
        host = str(address[0])
        if not is_public(host) and not (self._config.reach == "loopback" and host in ("127.0.0.1", "::1")):
            raise _Inside(f"{host} is not a public address")
        return socket.socket(family, kind, protocol)


async def _read(answer: aiohttp.ClientResponse, most_octets: int) -> bytes:
    """Raises AnswerTooLarge, before more than that was read."""
    if (answer.content_length or 0) > most_octets:
        raise AnswerTooLarge
    pieces: list[bytes] = []
    octets = 0
    async for piece in answer.content.iter_chunked(_PIECE_OCTETS):
        octets += len(piece)
        if octets > most_octets:
            raise AnswerTooLarge
        pieces.append(piece)
    return b"".join(pieces)


def _is_plain(url: str) -> bool:
    return url.isprintable() and " " not in url and "\\" not in url
