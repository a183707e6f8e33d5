"""A strict reader of IMAP parenthesised data (RFC 3501 §9), for judging what is put on the wire."""

import re

_QUOTED = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(0|[1-9][0-9]*)\}\r\n")
_NUMBER = re.compile(rb"0|[1-9][0-9]*")

Data = None | bytes | int | list["Data"]


def parse(wire: bytes) -> Data:
    """Raises AssertionError for anything but exactly one value: NIL, number, string or list with single spaces."""
    assert wire.isascii(), "8-bit octets on the wire"
    value, position = _value(wire, 0)
    assert position == len(wire), f"garbage at {position}: {wire[position : position + 40]!r}"
    return value


def _value(wire: bytes, position: int) -> tuple[Data, int]:
    stack: list[list[Data]] = []
    while True:
        value: Data
        if wire[position : position + 1] == b"(":
            stack.append([])
            position += 1
            assert wire[position : position + 1] != b")", "an empty list"
            continue
        if wire[position : position + 3] == b"NIL":
            value, position = None, position + 3
        elif match := _QUOTED.match(wire, position):
            value, position = re.sub(rb"\\(.)", rb"\1", match[1]), match.end()
        elif match := _LITERAL.match(wire, position):
            end = match.end() + int(match[1])
            value, position = wire[match.end() : end], end
            assert len(value) == int(match[1]), "a short literal"
            assert b"\0" not in value, "NUL in a literal"
        elif match := _NUMBER.match(wire, position):
            value, position = int(match[0]), match.end()
        else:
            raise AssertionError(f"no value at {position}: {wire[position : position + 40]!r}")
        while stack:
            stack[-1].append(value)
            if wire[position : position + 1] == b")":
                value, position = stack.pop(), position + 1
                continue
            if wire[position : position + 1] == b" ":
                position += 1
            else:  # lists of bodies and of addresses stand side by side
                assert wire[position : position + 1] == b"(" and isinstance(value, list), f"no space at {position}"
            break
        if not stack:
            return value, position


def check_envelope(data: Data) -> None:
    """Assert the types of RFC 3501's `envelope`."""
    assert isinstance(data, list) and len(data) == 10
    for place in (0, 1, 8, 9):
        assert data[place] is None or isinstance(data[place], bytes)
    for place in range(2, 8):
        addresses = data[place]
        assert addresses is None or isinstance(addresses, list)
        for address in addresses or []:
            assert isinstance(address, list) and len(address) == 4
            assert all(member is None or isinstance(member, bytes) for member in address)
            name, route, mailbox, host = address
            if host is None:
                assert name is None and route is None
            else:
                assert mailbox is not None


def check_body(data: Data, *, is_extensible: bool) -> None:
    """Assert the grammar of RFC 3501's `body`, with exactly four or no members of extension data."""
    pending = [data]
    while pending:
        body = pending.pop()
        assert isinstance(body, list) and body
        if isinstance(body[0], list):
            parts = [
                member for member in body if isinstance(member, list) and member and not _is_extension(body, member)
            ]
            pending.extend(parts)
            rest = body[len(parts) :]
            assert isinstance(rest[0], bytes)
            assert len(rest) == (5 if is_extensible else 1)
            if is_extensible:
                _check_parameters(rest[1])
                _check_disposition(rest[2])
            continue
        kind, subtype, parameters, content_id, description, encoding, octets = body[:7]
        assert isinstance(kind, bytes) and isinstance(subtype, bytes) and isinstance(encoding, bytes)
        assert content_id is None or isinstance(content_id, bytes)
        assert description is None or isinstance(description, bytes)
        assert isinstance(octets, int)
        _check_parameters(parameters)
        rest = body[7:]
        if (kind, subtype) == (b"message", b"rfc822"):
            check_envelope(rest[0])
            pending.append(rest[1])
            assert isinstance(rest[2], int)
            rest = rest[3:]
        elif kind == b"text":
            assert isinstance(rest[0], int)
            rest = rest[1:]
        assert kind != b"multipart"
        assert len(rest) == (4 if is_extensible else 0)
        if is_extensible:
            assert rest[0] is None or isinstance(rest[0], bytes)
            _check_disposition(rest[1])


def _is_extension(body: list[Data], member: list[Data]) -> bool:
    """Whether a list of a multipart stands after its subtype."""
    subtype = next(place for place, each in enumerate(body) if isinstance(each, bytes))
    return any(each is member for each in body[subtype:])


def _check_parameters(data: Data) -> None:
    assert data is None or (isinstance(data, list) and len(data) % 2 == 0)
    assert all(isinstance(member, bytes) for member in data or [])


def _check_disposition(data: Data) -> None:
    if data is not None:
        assert isinstance(data, list) and len(data) == 2 and isinstance(data[0], bytes)
        _check_parameters(data[1])
