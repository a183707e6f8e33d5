"""Reverse and forward paths (RFC 5321 §4.1.2, §4.1.3, limits of §4.5.3.1; RFC 6531 §3.3).

Source routes are read and ignored (RFC 5321 appendix C). A quoted local part that needs no quotes loses them, so that
later code sees one spelling of one address. A domain of U-labels becomes its A-labels for the same reason.
"""

import re

from mailserver.smtp.errors import PathInvalid
from tenants.addresses import parse_address
from tenants.errors import AddressInvalid

_LOCAL_PART_LIMIT_OCTETS = 64
_DOMAIN_LIMIT_OCTETS = 255

_BEYOND_ASCII = r"\u00a0-\ud7ff\ue000-\U0010ffff"
_ATOM = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_BEYOND_ASCII}-]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
# Underscores are not for host names, and stand in the reverse paths of real mail.
_LABEL = rf"[A-Za-z0-9{_BEYOND_ASCII}](?:[A-Za-z0-9_{_BEYOND_ASCII}-]*[A-Za-z0-9{_BEYOND_ASCII}])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[!-Z^-~]+\]"
_QUOTED = rf'"(?:[ !#-\[\]-~{_BEYOND_ASCII}]|\\[ -~])*"'

_PATH = re.compile(
    rf"<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?(?P<local>{_DOT_STRING}|{_QUOTED})@(?P<domain>{_DOMAIN}|{_LITERAL})>"
)
_POSTMASTER = re.compile("<postmaster>", re.IGNORECASE)
_IS_DOT_STRING = re.compile(_DOT_STRING).fullmatch
_QUOTED_PAIR = re.compile(r"\\(.)")


def split_path(argument: bytes) -> tuple[bytes, bytes]:
    """The path with its brackets, and the parameters after it. A `>` within a quoted local part does not end a path."""
    argument = argument.lstrip(b" ")  # `MAIL FROM: <a@b>` is wrong and common
    if b'"' not in argument:
        path, bracket, rest = argument.partition(b">")
        return path + bracket, rest
    is_quoted = is_escaped = False
    for position, octet in enumerate(argument):
        if is_escaped:
            is_escaped = False
        elif octet == 0x5C and is_quoted:
            is_escaped = True
        elif octet == 0x22:
            is_quoted = not is_quoted
        elif octet == 0x3E and not is_quoted:
            return argument[: position + 1], argument[position + 1 :]
    return argument, b""


def parse_reverse_path(path: bytes) -> str:
    """The address, or empty for `<>`. Raises PathInvalid."""
    return "" if path == b"<>" else _parse(path, is_sender=True)


def parse_forward_path(path: bytes) -> str:
    """The address, or `postmaster`. Raises PathInvalid."""
    if len(path) == 12 and _POSTMASTER.fullmatch(path.decode("latin-1")):
        return "postmaster"
    return _parse(path, is_sender=False)


def _parse(path: bytes, *, is_sender: bool) -> str:
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        raise PathInvalid("it is not UTF-8", is_sender=is_sender) from None
    found = _PATH.fullmatch(text)
    if found is None:
        raise PathInvalid("an address stands in angle brackets, <name@domain>", is_sender=is_sender)
    local_part, domain = found["local"], found["domain"]
    if local_part.startswith('"'):
        bare = _QUOTED_PAIR.sub(r"\1", local_part[1:-1])
        if _IS_DOT_STRING(bare):
            local_part = bare
    if not domain.isascii():
        domain = _a_labels(domain, is_sender=is_sender)
    if len(local_part.encode()) > _LOCAL_PART_LIMIT_OCTETS:
        raise PathInvalid(f"the local part is over {_LOCAL_PART_LIMIT_OCTETS} octets", is_sender=is_sender)
    if len(domain) > _DOMAIN_LIMIT_OCTETS:
        raise PathInvalid(f"the domain is over {_DOMAIN_LIMIT_OCTETS} octets", is_sender=is_sender)
    return f"{local_part}@{domain}"


def _a_labels(domain: str, *, is_sender: bool) -> str:
    try:
        return parse_address(f"postmaster@{domain}").domain
    except AddressInvalid as error:
        raise PathInvalid(error.reason, is_sender=is_sender) from None
