"""Mailbox names on the wire: UTF-8 for clients that have enabled it (RFC 9051 §5.1, RFC 6855), else strict modified
UTF-7 (RFC 3501 §5.1.3).

Strict means that every name has exactly one encoding: printable ASCII stands for itself, base64 runs are minimal, end
in zero bits and never follow one another. Anything else is refused, so that two octet strings never name one mailbox.
"""

import binascii

DELIMITER = "/"
INBOX = "INBOX"


class MailboxNameUndecodable(ValueError):
    """The octets name no mailbox that could be; the text of the exception is fit for a client."""


def decode_mailbox_name(octets: bytes, *, utf8: bool = False) -> str:
    """Text of a name or a list pattern, as the client spelt it; raises MailboxNameUndecodable.

    `utf8`: the client has enabled UTF-8, and `&` is a character like others. One that has not may still send UTF-8
    (RFC 6855 §3); only `&` it may not use then, for it would be anybody's guess what it stands for.
    """
    if utf8 or not octets.isascii():
        return _decode_utf8(octets, may_have_ampersand=utf8)
    if b"&" not in octets and octets.decode("ascii").isprintable():
        return octets.decode("ascii")
    pieces: list[str] = []
    position = 0
    may_shift = True
    while position < len(octets):
        octet = octets[position]
        if octet != 0x26:
            if not 0x20 <= octet <= 0x7E:
                raise MailboxNameUndecodable("a mailbox name is modified UTF-7, which is printable ASCII")
            pieces.append(chr(octet))
            position += 1
            may_shift = True
            continue
        end = octets.find(b"-", position)
        if end < 0:
            raise MailboxNameUndecodable("a modified UTF-7 run in a mailbox name has no end")
        if end == position + 1:
            pieces.append("&")
            may_shift = True
        elif may_shift:
            pieces.append(_decode_run(octets[position + 1 : end]))
            may_shift = False
        else:
            raise MailboxNameUndecodable("two modified UTF-7 runs in a mailbox name adjoin")
        position = end + 1
    return "".join(pieces)


def _decode_utf8(octets: bytes, *, may_have_ampersand: bool) -> str:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise MailboxNameUndecodable("a mailbox name is not UTF-8") from None
    if "&" in text and not may_have_ampersand:
        raise MailboxNameUndecodable("a mailbox name is modified UTF-7 or UTF-8, not both")
    return text


def _decode_run(run: bytes) -> str:
    encoded = run.replace(b",", b"/")
    try:
        units = binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4), strict_mode=True)
        text = units.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise MailboxNameUndecodable("a modified UTF-7 run in a mailbox name is damaged") from None
    if b"/" in run or _encode_run(text) != b"&" + run + b"-":
        raise MailboxNameUndecodable("a modified UTF-7 run in a mailbox name is not minimal")
    if any(" " <= character <= "~" or character == "\0" for character in text):
        raise MailboxNameUndecodable("a modified UTF-7 run in a mailbox name holds a character that must not be there")
    return text


def encode_mailbox_name(name: str, *, utf8: bool = False) -> bytes:
    """The one form of a name, in UTF-8 or modified UTF-7; lone surrogates raise UnicodeEncodeError."""
    if utf8:
        return name.encode()
    if name.isascii() and "&" not in name and name.isprintable():
        return name.encode("ascii")
    pieces: list[bytes] = []
    run: list[str] = []
    for character in name:
        if " " <= character <= "~":
            if run:
                pieces.append(_encode_run("".join(run)))
                run.clear()
            pieces.append(b"&-" if character == "&" else character.encode("ascii"))
        else:
            run.append(character)
    if run:
        pieces.append(_encode_run("".join(run)))
    return b"".join(pieces)


def _encode_run(text: str) -> bytes:
    encoded = binascii.b2a_base64(text.encode("utf-16-be"), newline=False)
    return b"&" + encoded.rstrip(b"=").replace(b"/", b",") + b"-"


def canonical(name: str) -> str:
    """INBOX as the first level, in any case, is INBOX (RFC 3501 §5.1), else `inbox/x` would have another parent."""
    first, delimiter, rest = name.partition(DELIMITER)
    return INBOX + delimiter + rest if first != INBOX and first.upper() == INBOX and first.isascii() else name
