"""How addresses and ids travel in DSN parameters and fields: xtext (RFC 3461 §4), the UTF-8 address type (RFC 6533 §3).

`rfc822;ann@demo.test` and `utf-8;安@demo.test` are *typed addresses*: what ORCPT says once its encoding is undone, and
what Original-Recipient and Final-Recipient hold.
"""

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX_PAIR = re.compile(r"\+([0-9A-F]{2})")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]{1,40}")
_PRINTABLE = re.compile(r"[ -~]*")
UTF8 = "utf-8"


def encode_xtext(text: str) -> str:
    """Printable ASCII as an esmtp-value. Raises ValueError for anything else."""
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("xtext holds printable ASCII")
    return _NOT_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", text)


def decode_xtext(value: str) -> str:
    """Raises ValueError for what is no xtext, or hides other than printable ASCII."""
    if not _XTEXT.fullmatch(value):
        raise ValueError("a + stands before two upper-case hexadecimal digits")
    text = _HEX_PAIR.sub(lambda found: chr(int(found[1], 16)), value)
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("only printable ASCII may be encoded")
    return text


def encode_unitext(address: str) -> str:
    """The 7-bit form of an address, `\\x{5B89}@demo.test`, fit for ORCPT and for fields alike."""
    return _NOT_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def decode_unitext(text: str) -> str:
    """Undo what can be undone; what names no character stays as it is (RFC 6533 §3 asks for that)."""

    def character(found: re.Match[str]) -> str:
        code = int(found[1], 16)
        return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else found[0]

    decoded = _UNITEXT.sub(character, text)
    return decoded if decoded.isprintable() else text


def decode_original_recipient(value: str) -> str:
    """The value of ORCPT as a typed address. Raises ValueError.

    A UTF-8 address may come raw, with `\\x{…}` for some characters, or (old senders) as xtext of that.
    """
    kind, semicolon, address = value.partition(";")
    if not semicolon or not address or not _TYPE.fullmatch(kind):
        raise ValueError("ORCPT is type;address")
    if kind.lower() != UTF8:
        return f"{kind};{decode_xtext(address)}"
    if address.isascii() and _XTEXT.fullmatch(address):
        address = decode_xtext(address)
    decoded = decode_unitext(address)
    if not decoded.isprintable():
        raise ValueError("ORCPT holds a character that cannot be shown")
    return f"{kind};{decoded}"


def encode_original_recipient(typed: str, *, to_utf8_peer: bool) -> str:
    """A typed address as the value of ORCPT. A peer without SMTPUTF8 gets ASCII only."""
    kind, _, address = typed.partition(";")
    if kind.lower() != UTF8:
        return f"{kind};{encode_xtext(address)}"
    if to_utf8_peer:
        return f"{kind};" + "".join(encode_unitext(each) if each.isascii() else each for each in address)
    return f"{kind};{encode_unitext(address)}"


def typed_address(address: str) -> str:
    """The typed form of an address of a command."""
    return f"{'rfc822' if address.isascii() else UTF8};{address}"


def field_value(typed: str, *, is_global: bool) -> str:
    """A typed address as a field of the status part holds it: only a global one takes characters beyond ASCII."""
    kind, _, address = typed.partition(";")
    if kind.lower() == UTF8 and not is_global:
        address = encode_unitext(address)
    return f"{kind}; {address}"
