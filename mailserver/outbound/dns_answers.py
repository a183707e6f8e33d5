"""What a DNS response says of one question: records, none, or an alias to go on with (RFC 1034 §3.6.2, RFC 2308).

Responses come from strangers by way of a resolver: aliases may go in circles, names may hold any octet, records may be
thousands. Nothing here follows more than `ALIASES_IN_A_RESPONSE` aliases, and names that no host has are left out.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rrset

ALIASES_IN_A_RESPONSE = 16
NAME_LIMIT_OCTETS = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")  # hosts with `_` are wrong and there


class RecordKind(StrEnum):
    MX = "MX"
    A = "A"
    AAAA = "AAAA"


@dataclass(frozen=True, slots=True, order=True)
class MxRecord:
    """`host` is lower case without a final dot; empty for the root, which means null MX when alone (RFC 7505 §3)."""

    preference: int
    host: str


Record = MxRecord | str
"""An MX record, or an address in its usual form."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`records` empty and `exists`: the name is there, without such records. Not `exists`: NXDOMAIN."""

    records: tuple[Record, ...]
    exists: bool


@dataclass(frozen=True, slots=True)
class Alias:
    """A CNAME whose target the response says nothing of: to be asked for."""

    target: str


class AnswerUnusable(Exception):
    """The response answers nothing: a failure of the servers behind it, or nonsense. `reason` names it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_host_name(name: str) -> bool:
    """Whether this could be the name of a host: lower case, LDH labels (and `_`)."""
    return len(name) <= NAME_LIMIT_OCTETS and all(map(_LABEL.fullmatch, name.split(".")))


def read_response(response: dns.message.Message, name: str, kind: RecordKind) -> tuple[Answer | Alias, float]:
    """What it says and for how many seconds that holds. Raises AnswerUnusable."""
    rcode = response.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise AnswerUnusable(dns.rcode.to_text(rcode))
    sets = {(found.name, found.rdtype): found for found in response.answer if found.rdclass == dns.rdataclass.IN}
    at = _absolute(name)
    ttl_s = float("inf")
    seen = {at}
    while (alias := sets.get((at, dns.rdatatype.CNAME))) is not None:
        ttl_s = min(ttl_s, alias.ttl)
        at = _target(alias)
        if at in seen:
            raise AnswerUnusable("aliases in a circle")
        if len(seen) > ALIASES_IN_A_RESPONSE:
            raise AnswerUnusable("too many aliases")
        seen.add(at)
    found = sets.get((at, dns.rdatatype.from_text(kind)))
    if found is not None:
        return Answer(_records(found), exists=True), min(ttl_s, found.ttl)
    negative_ttl_s = _negative_ttl_s(response)
    if rcode == dns.rcode.NXDOMAIN:
        return Answer((), exists=False), min(ttl_s, negative_ttl_s or 0.0)
    if len(seen) > 1 and negative_ttl_s is None:
        return Alias(_text(at)), ttl_s
    return Answer((), exists=True), min(ttl_s, negative_ttl_s or 0.0)


def _records(found: dns.rrset.RRset) -> tuple[Record, ...]:
    records: dict[Record, None] = {}
    for each in found:
        match each:
            case dns.rdtypes.ANY.MX.MX():
                host = "" if each.exchange == dns.name.root else _text(each.exchange)
                records[MxRecord(each.preference, host)] = None
            case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
                records[each.address] = None
    return tuple(records)


def _target(alias: dns.rrset.RRset) -> dns.name.Name:
    record = alias[0]
    if not isinstance(record, dns.rdtypes.ANY.CNAME.CNAME):
        raise AnswerUnusable("an alias without a target")
    return record.target


def _negative_ttl_s(response: dns.message.Message) -> float | None:
    """The smaller of the SOA's TTL and its minimum (RFC 2308 §5); None: no SOA."""
    for found in response.authority:
        for each in found:
            if isinstance(each, dns.rdtypes.ANY.SOA.SOA):
                return float(min(found.ttl, each.minimum))
    return None


def _absolute(name: str) -> dns.name.Name:
    try:
        return dns.name.from_text(name)
    except dns.exception.DNSException:
        raise AnswerUnusable("not a name") from None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
