"""Mail addresses: parsing, one canonical form, details after `+`, and who may send as what (RFC 5321 §4.1.2, RFC 6531).

The canonical local part is NFC and casefolded, without the quotes and backslashes of a quoted string: `Ann.Lee`,
`"ann.lee"` and `ANN.LEE` are one person here. The canonical domain is the lower-case A-label. Canonicalising twice
changes nothing.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Collection

import idna

from tenants.errors import AddressInvalid, DomainInvalid
from tenants.types import Address, Target

LOCAL_PART_LIMIT_OCTETS = 64  # RFC 5321 §4.5.3.1.1
DOMAIN_LIMIT_OCTETS = 255  # RFC 5321 §4.5.3.1.2
LABEL_LIMIT_OCTETS = 63  # RFC 1035 §2.3.4
TEXT_LIMIT_CHARACTERS = 2 * (LOCAL_PART_LIMIT_OCTETS + DOMAIN_LIMIT_OCTETS) + 3  # every character quoted
DETAIL_SEPARATOR = "+"

_ASCII_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_ATOM_SPECIALS = frozenset('()<>[]:;@\\,"')  # RFC 5322 §3.2.3; dots and spaces are dealt with apart


def parse_address(text: str) -> Address:
    """The canonical form of `local-part@domain`; a detail stays in the local part. Raises AddressInvalid."""
    if len(text) > TEXT_LIMIT_CHARACTERS:
        raise AddressInvalid(text[:80] + "…", "it is too long")
    local_part, domain = _cut(text)
    return Address(_canonical_local_part(text, local_part), _canonical_address_domain(text, domain))


def parse_domain(text: str) -> str:
    """The A-label of a domain name that could be one of ours: at least two labels. Raises DomainInvalid."""
    name = _a_label(text)
    if "." not in name:
        raise DomainInvalid(text, "it has only one label")
    if name.rpartition(".")[2].isdigit():
        raise DomainInvalid(text, "it looks like a number, not a name")
    return name


def display_domain(name: str) -> str:
    """The domain as a person reads it: U-labels where they round-trip, else as it is."""
    try:
        shown = idna.decode(name)
        return shown if _a_label(shown) == name else name
    except (idna.IDNAError, DomainInvalid, UnicodeError):
        return name


def parse_target(text: str) -> Target:
    """An address that mail is passed on to, anywhere. Raises AddressInvalid, also for an IP address as domain."""
    address = parse_address(text.strip())
    try:
        parse_domain(address.domain)
    except DomainInvalid as error:
        raise AddressInvalid(text, error.reason) from None
    local_part, _ = _cut(text.strip())
    return Target(address, format_address(Address(unicodedata.normalize("NFC", local_part), address.domain)))


def split_detail(address: Address) -> tuple[Address, str]:
    """`ann+lists@x` is `ann@x` with the detail `lists` (RFC 5233). A local part that begins with `+` has no detail."""
    name, separator, detail = address.local_part.partition(DETAIL_SEPARATOR)
    if not separator or not name:
        return address, ""
    return Address(name, address.domain), detail


def may_send_as(address: Address, addresses: Collection[str]) -> bool:
    """Whether someone with these canonical addresses may send as `address`: one of them, or one with a detail."""
    return str(address) in addresses or str(split_detail(address)[0]) in addresses


def format_address(address: Address) -> str:
    """The address as it may stand in a command or header: quoted where the local part needs it (RFC 5321 §4.1.2)."""
    if _is_dot_string(address.local_part):
        return str(address)
    quoted = address.local_part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"@{address.domain}'


def _cut(text: str) -> tuple[str, str]:
    """Local part (quotes and backslashes removed) and domain, as written."""
    if not text.startswith('"'):
        local_part, separator, domain = text.rpartition("@")
        if not separator:
            raise AddressInvalid(text, "it has no @")
        if not local_part:
            raise AddressInvalid(text, "nothing stands before the @")
        if not _is_dot_string(local_part):
            raise AddressInvalid(text, "the part before the @ has a character or dot that needs quotes")
        return local_part, domain
    characters: list[str] = []
    position = 1
    while position < len(text) and text[position] != '"':
        if text[position] == "\\":
            position += 1
        characters.append(text[position : position + 1])
        position += 1
    if text[position : position + 2] != '"@':
        raise AddressInvalid(text, "the quoted part does not end in a quote and @")
    if not characters:
        raise AddressInvalid(text, "nothing stands before the @")
    return "".join(characters), text[position + 2 :]


def _is_dot_string(local_part: str) -> bool:
    return all(local_part.split(".")) and not any(c in _ATOM_SPECIALS or c.isspace() for c in local_part)


def _canonical_local_part(text: str, local_part: str) -> str:
    # Default caseless matching (Unicode §3.13, D145) folds the decomposed form; composing last makes it NFC.
    canonical = unicodedata.normalize("NFC", unicodedata.normalize("NFD", local_part).casefold())
    for character in canonical:
        # Controls, formats (zero-width, direction marks), surrogates, unassigned; separators other than a space
        category = unicodedata.category(character)
        if category.startswith("C") or (category.startswith("Z") and character != " "):
            raise AddressInvalid(text, f"U+{ord(character):04X} may not stand in an address")
    if len(canonical.encode()) > LOCAL_PART_LIMIT_OCTETS:
        raise AddressInvalid(text, f"the part before the @ is over {LOCAL_PART_LIMIT_OCTETS} octets")
    return canonical


def _canonical_address_domain(text: str, domain: str) -> str:
    if domain.startswith("["):
        return _canonical_literal(text, domain)
    try:
        return _a_label(domain)
    except DomainInvalid as error:
        raise AddressInvalid(text, error.reason) from None


def _canonical_literal(text: str, literal: str) -> str:
    """`[192.0.2.1]` and `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3): never ours, but an address."""
    inside = literal[1:-1]
    try:
        if not literal.endswith("]"):
            raise ValueError
        if inside[:5].lower() == "ipv6:":
            return f"[ipv6:{ipaddress.IPv6Address(inside[5:])}]"
        return f"[{ipaddress.IPv4Address(inside)}]"
    except ValueError:
        raise AddressInvalid(text, "the address in brackets is not an IP address") from None


def _a_label(text: str) -> str:
    if not text:
        raise DomainInvalid(text, "it has no domain")
    if len(text) > DOMAIN_LIMIT_OCTETS:
        raise DomainInvalid(text[:80] + "…", f"the domain is over {DOMAIN_LIMIT_OCTETS} octets")
    name = text.lower() if text.isascii() else _encode(text)
    if len(name) > DOMAIN_LIMIT_OCTETS:
        raise DomainInvalid(text, f"the domain is over {DOMAIN_LIMIT_OCTETS} octets")
    for label in name.split("."):
        if len(label) > LABEL_LIMIT_OCTETS:
            raise DomainInvalid(text, f"a label of the domain is over {LABEL_LIMIT_OCTETS} octets")
        if not _ASCII_LABEL.fullmatch(label):
            raise DomainInvalid(text, "a label of the domain is empty or has a character other than letter, digit, -")
    return name


def _encode(text: str) -> str:
    """UTS 46 maps what people type (full-width letters, ideographic full stops) before RFC 5891 encodes it."""
    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise DomainInvalid(text, "the domain has a character that names may not have") from None
