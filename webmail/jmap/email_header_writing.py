"""Header fields written from the values that JMAP gives for them, in each of the forms (RFC 8621 §4.1.2, RFC 5322 §3).

What is not a value of the form raises InvalidValue; nothing that is given can end a field early and begin another.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mailserver.mime.charset import storable
from mailserver.mime.dates import format_date
from webmail.jmap.encoded_words import encoded, encoded_phrase, folded, needs_words
from webmail.jmap.header_properties import Form, HeaderProperty

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*")
_DOT_ATOM = re.compile(r"[^\s()<>\[\]:;@\\,.\"\x00-\x1f\x7f]+(?:\.[^\s()<>\[\]:;@\\,.\"\x00-\x1f\x7f]+)*")
_QUOTED = re.compile(r"\"(?:[^\"\\\x00-\x1f\x7f]|\\[ -~])*\"")
_HOST = re.compile(r"[^\s()<>@,;:\\\"\x00-\x1f\x7f]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_RAW = re.compile(r"(?:[^\r\n\0]|\r\n(?=[ \t]+[^ \t\r\n]))*")
_ID = re.compile(r"[^<>\s\x00-\x1f\x7f]+")
_URL = re.compile(r"[!-;=?-~]+")
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})")
_LINE_OCTETS = 998
_ADDRESS_CHARACTERS = 500
_LONGEST_QUOTED = 60
_LONGEST_ID = 900


class InvalidValue(Exception):
    """A value is not one of the form it is given in."""


def write_header(wanted: HeaderProperty, value: Any) -> list[bytes]:
    """The fields that a property stands for, with their line ends: none for null, several for `:all`."""
    if value is None:
        return []
    if not wanted.is_all:
        return _written(wanted, value)
    if not isinstance(value, list):
        raise InvalidValue("it must be a list")
    return [field for each in value for field in _written(wanted, each)]


def _written(wanted: HeaderProperty, value: Any) -> list[bytes]:
    if wanted.form is Form.RAW:
        return [_raw(wanted.name, value)]
    pieces = _WRITTEN[wanted.form](value)
    return [folded(wanted.name, pieces)] if pieces is not None else []


def _raw(name: str, value: Any) -> bytes:
    text = _string(value)
    if _RAW.fullmatch(text) is None:
        raise InvalidValue("line ends may only stand before white space")
    octets = f"{name}:{text}\r\n".encode()
    if any(len(line) > _LINE_OCTETS for line in octets.split(b"\r\n")):
        raise InvalidValue(f"a line has more than {_LINE_OCTETS} octets")
    return octets


def _text(value: Any) -> list[str]:
    return encoded(_string(value))


def _addresses(value: Any) -> list[str] | None:
    shown = [_address(each) for each in _list(value)]
    return _listed(shown) if shown else None


def _grouped_addresses(value: Any) -> list[str] | None:
    members: list[list[str]] = []
    for each in _list(value):
        if not isinstance(each, dict) or not each.keys() <= {"name", "addresses"}:
            raise InvalidValue("a group has a name and addresses")
        shown = [_address(member) for member in _list(each.get("addresses"))]
        name = each.get("name")
        if name is None:
            members += shown
            continue
        group = _listed(shown)
        members.append([*_phrase(_string(name)), ":", *group, ";"])
    return _listed(members) if members else None


def _listed(members: list[list[str]]) -> list[str]:
    """With commas between; each but the first may begin a line."""
    pieces: list[str] = []
    for number, member in enumerate(members):
        if number:
            pieces[-1] += ","
        pieces += [" " + member[0].lstrip(" "), *member[1:]]
    return pieces


def _address(value: Any) -> list[str]:
    """One EmailAddress as pieces. Drafts may hold addresses that are none yet."""
    if not isinstance(value, dict) or not value.keys() <= {"name", "email"}:
        raise InvalidValue("an address has a name and an email")
    name, email = value.get("name"), _string(value.get("email"))
    if name is not None and not isinstance(name, str):
        raise InvalidValue("the name of an address must be a string or null")
    if len(email) > _ADDRESS_CHARACTERS or _CONTROLS.search(email):
        raise InvalidValue("an email is too long, or holds control characters")
    spec = _addr_spec(storable(email.strip()))
    shown = _phrase(name) if name else []
    return [*shown, f" <{spec}>"] if shown else [" " + spec]


def _addr_spec(email: str) -> str:
    local, at, host = email.rpartition("@")
    if not at or not local or _HOST.fullmatch(host) is None:
        return email if _DOT_ATOM.fullmatch(email) else _quote(email)
    if _DOT_ATOM.fullmatch(local) is None and _QUOTED.fullmatch(local) is None:
        local = _quote(local)
    if not host.isascii() and local.isascii():
        with contextlib.suppress(UnicodeError):  # a draft may hold what has no such form; sending refuses it
            host = host.encode("idna").decode("ascii")
    return f"{local}@{host}"


def _phrase(name: str) -> list[str]:
    """A display name: as it is, quoted, or in encoded words."""
    name = " ".join(_CONTROLS.sub(" ", storable(name)).split())
    if not name:
        return []
    if needs_words(name):
        return encoded_phrase(name)
    if _ATOMS.fullmatch(name):
        return [" " + word for word in name.split(" ")]
    return [" " + _quote(name)] if len(name) <= _LONGEST_QUOTED else encoded_phrase(name)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _message_ids(value: Any) -> list[str] | None:
    ids = [_string(each) for each in _list(value)]
    if any(_ID.fullmatch(each) is None or len(each.encode()) > _LONGEST_ID for each in ids):
        raise InvalidValue("a message id holds neither white space nor angle brackets")
    return [f" <{each}>" for each in ids] or None


def _urls(value: Any) -> list[str] | None:
    urls = [_string(each) for each in _list(value)]
    if any(_URL.fullmatch(each) is None or len(each) > _LONGEST_ID for each in urls):
        raise InvalidValue("a URL holds only printable ASCII, and no angle brackets")
    return _listed([[f" <{each}>"] for each in urls]) if urls else None


def _date(value: Any) -> list[str]:
    return [" " + format_date(parse_rfc3339(_string(value)))]


def parse_rfc3339(text: str) -> datetime:
    """A Date (RFC 8620 §1.4), to the second. Raises InvalidValue."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise InvalidValue("a date is like 2014-10-30T14:12:00+08:00")
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}{found[4]}")
    except ValueError:
        raise InvalidValue("there is no such date") from None


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValue("it must be a string")
    return storable(value) if "\0" not in value else _refuse_nul()


def _refuse_nul() -> str:
    raise InvalidValue("it holds NUL")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidValue("it must be a list")
    return value


_WRITTEN: Mapping[Form, Callable[[Any], list[str] | None]] = {
    Form.TEXT: _text,
    Form.ADDRESSES: _addresses,
    Form.GROUPED_ADDRESSES: _grouped_addresses,
    Form.MESSAGE_IDS: _message_ids,
    Form.DATE: _date,
    Form.URLS: _urls,
}
