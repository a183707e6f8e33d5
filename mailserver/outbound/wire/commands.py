"""Commands as octets, with what the host's extensions allow (RFC 5321 §4.1.1, RFC 3461 §4, RFC 4954)."""

import base64
import re

from mailserver.dsn.addresses import UTF8, encode_unitext
from mailserver.outbound.letters import Addressee, Letter
from mailserver.outbound.sites import Credentials
from mailserver.outbound.wire.extensions import Extensions
from storage.outgoing_types import BodyKind, Notify, ReturnContent

ADDRESS_LIMIT_OCTETS = 1_024  # a path may be 256 (RFC 5321 §4.5.3.1.3); longer ones are for the host to refuse

# What could end a path or a line never gets into a command. Spaces, `<` and `>` may stand in a quoted local part.
_WRITABLE = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^\s<>"\\\x00-\x1f\x7f]+)@[^\s<>"\\\x00-\x1f\x7f]+'
)

_NOTIFY = {Notify.SUCCESS: "SUCCESS", Notify.FAILURE: "FAILURE", Notify.DELAY: "DELAY"}
_RETURN = {ReturnContent.FULL: "FULL", ReturnContent.HEADERS: "HDRS"}


def is_writable(address: str) -> bool:
    """Whether the address can stand in MAIL or RCPT and stay one address."""
    return len(address) <= ADDRESS_LIMIT_OCTETS and _WRITABLE.fullmatch(address) is not None


def hello(verb: str, hostname: str) -> bytes:
    return f"{verb} {hostname}\r\n".encode("ascii")


def mail_from(letter: Letter, extensions: Extensions, *, needs_utf8: bool) -> bytes:
    words = [f"MAIL FROM:<{letter.reverse_path}>"]
    if extensions.size:
        words.append(f"SIZE={letter.octets}")
    if extensions.eight_bit_mime and letter.body is BodyKind.EIGHTBIT:
        words.append("BODY=8BITMIME")
    if needs_utf8:
        words.append("SMTPUTF8")
    if extensions.dsn:
        if letter.return_content is not None:
            words.append(f"RET={_RETURN[letter.return_content]}")
        if letter.envelope_id:
            words.append(f"ENVID={xtext(letter.envelope_id)}")
    return (" ".join(words) + "\r\n").encode()


def rcpt_to(addressee: Addressee, extensions: Extensions) -> bytes:
    words = [f"RCPT TO:<{addressee.address}>"]
    if extensions.dsn:
        if addressee.notify is not None:
            words.append(f"NOTIFY={_notify(addressee.notify)}")
        if addressee.original_recipient:
            words.append(f"ORCPT={_original_recipient(addressee.original_recipient)}")
    return (" ".join(words) + "\r\n").encode()


def auth_plain(credentials: Credentials) -> bytes:
    """With the initial response (RFC 4616 §2, RFC 4954 §4)."""
    return b"AUTH PLAIN " + base64.b64encode(f"\0{credentials.user}\0{credentials.password}".encode()) + b"\r\n"


def auth_line(text: str) -> bytes:
    """An answer to a challenge."""
    return base64.b64encode(text.encode()) + b"\r\n"


def xtext(text: str) -> str:
    """RFC 3461 §4: printable ASCII but `+` and `=` as it is, the rest as `+` and two hexadecimal digits an octet."""
    return "".join(
        chr(octet) if 33 <= octet <= 126 and octet not in b"+=" else f"+{octet:02X}" for octet in text.encode()
    )


def _notify(notify: Notify) -> str:
    if notify & Notify.NEVER or not notify:
        return "NEVER"
    return ",".join(word for flag, word in _NOTIFY.items() if notify & flag)


def _original_recipient(text: str) -> str:
    """`type;address`. What is not ASCII goes in RFC 6533 §3's 7-bit form, which any host with DSN can keep."""
    kind, _, address = text.partition(";")
    if text.isascii():
        return f"{kind};{xtext(address)}"
    return f"{UTF8};{encode_unitext(address)}"
