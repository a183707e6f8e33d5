"""A DNS server for tests: real UDP and TCP on a loopback port, a zone that is a dict, and faults on demand.

    async with DnsServer({"demo.test": {"MX": ["10 mx.demo.test."]}, "mx.demo.test": {"A": ["127.0.0.2"]}}) as dns:
        ...  # WAYPOST_DNS=f"127.0.0.1:{dns.port}"

It answers as a recursive resolver does: aliases are followed within the zone, what is missing comes with a SOA. Zone
and faults may be changed at any time.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from enum import Enum, auto
from typing import Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[str, Mapping[str, list[str]]]
"""Name without final dot → type → values as in a zone file. A name with an empty dict exists and holds nothing."""


class Fault(Enum):
    SERVFAIL = auto()
    REFUSED = auto()
    SILENT = auto()
    TRUNCATED = auto()  # by UDP; TCP has all of it
    TRUNCATED_AND_SILENT = auto()  # by UDP, and TCP hangs
    GARBAGE = auto()
    WRONG_ID = auto()
    FORMERR_WITH_EDNS = auto()
    LEAVES_ALIASES_OPEN = auto()  # a CNAME alone, without its target


class DnsServer:
    """`faults` by name or "name TYPE"; the key "" is for every name. `asked`: (name, type, "udp" or "tcp") of all."""

    def __init__(self, zone: Zone, *, host: str = "127.0.0.1", ttl_s: int = 60) -> None:
        self.zone: dict[str, Mapping[str, list[str]]] = dict(zone)
        self.faults: dict[str, Fault] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.host = host
        self.port = 0
        self.ttl_s = ttl_s
        self._stack = contextlib.AsyncExitStack()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def text(self) -> str:
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            tcp = socket.create_server((self.host, 0))
            self.port = tcp.getsockname()[1]
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind((self.host, self.port))
            except OSError:
                tcp.close()
                udp.close()
                continue
            break
        udp.setblocking(False)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=udp)
        self._stack.callback(transport.close)
        server = await asyncio.start_server(self._serve_tcp, sock=tcp)
        self._stack.callback(server.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()
        await self._stack.aclose()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(length), by_tcp=True)
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        self._writers.discard(writer)
        writer.close()

    def answer(self, wire: bytes, *, by_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, "tcp" if by_tcp else "udp"))
        fault = self.faults.get(f"{name} {kind}", self.faults.get(name, self.faults.get("")))
        response = dns.message.make_response(query, recursion_available=True)
        match fault:
            case Fault.SILENT:
                return None
            case Fault.TRUNCATED_AND_SILENT if by_tcp:
                return None
            case Fault.GARBAGE:
                return query.to_wire()[:2] + b"\x80\x00\xff\xff\xff\xff" + b"\xc0" * 40
            case Fault.WRONG_ID:
                response.id = (query.id + 1) % 65_536
            case Fault.SERVFAIL:
                response.set_rcode(dns.rcode.SERVFAIL)
                return response.to_wire()
            case Fault.REFUSED:
                response.set_rcode(dns.rcode.REFUSED)
                return response.to_wire()
            case Fault.FORMERR_WITH_EDNS if query.edns >= 0:
                return struct.pack("!HHHHHH", query.id, 0x8181, 0, 0, 0, 0)
            case _:
                pass
        self._fill(response, name, kind, follows=fault is not Fault.LEAVES_ALIASES_OPEN)
        if not by_tcp and fault in (Fault.TRUNCATED, Fault.TRUNCATED_AND_SILENT):
            response.answer.clear()
            response.flags |= dns.flags.TC
        limit = 65_535 if by_tcp else max(512, query.payload)
        try:
            return response.to_wire(max_size=limit)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str, *, follows: bool) -> None:
        seen: set[str] = set()
        while True:
            node = self.zone.get(name)
            if node is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            alias = node.get("CNAME")
            if alias and kind != "CNAME":
                response.answer.append(self._records(name, "CNAME", alias))
                if not follows or name in seen:
                    return
                seen.add(name)
                name = alias[0].rstrip(".").lower()
                continue
            if kind in node:
                response.answer.append(self._records(name, kind, node[kind]))
                return
            break
        soa = "ns.test. admin.test. 1 3600 600 86400 60"
        response.authority.append(self._records("test", "SOA", [soa]))

    def _records(self, name: str, kind: str, values: list[str]) -> dns.rrset.RRset:
        return dns.rrset.from_text_list(name + ".", self.ttl_s, "IN", kind, values)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        answer = self._server.answer(data, by_tcp=False)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
