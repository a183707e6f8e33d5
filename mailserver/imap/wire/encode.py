"""Responses become octets (RFC 3501 §7, §9)."""

from base64 import b64encode
from collections.abc import Iterable
from typing import assert_never

from mailserver.imap.wire.encode_codes import encode_code
from mailserver.imap.wire.encode_search import extended_found_line, found_line, sorted_line
from mailserver.imap.wire.fetch_data import CLOSE, flag_list, flag_names
from mailserver.imap.wire.mailbox_name import encode_mailbox_name
from mailserver.imap.wire.response_codes import ResponseCode
from mailserver.imap.wire.responses import (
    Bye,
    Capabilities,
    Challenge,
    Continue,
    Enabled,
    Exists,
    Expunged,
    ExtendedFound,
    FetchChunk,
    Fetched,
    FetchEnd,
    FetchStart,
    FlagsDefined,
    FlagsFetched,
    Found,
    Listed,
    LsubListed,
    MailboxStatus,
    NamespaceEntry,
    Namespaces,
    QuotaRoots,
    QuotaUsage,
    RecentCount,
    Response,
    ServerId,
    Sorted,
    Tagged,
    Threaded,
    Untagged,
    Vanished,
)
from mailserver.imap.wire.sequence import format_set
from mailserver.imap.wire.strings import astring, nstring, string, utf8_string


def encode(response: Response, *, utf8: bool = False) -> bytes:
    """The octets of a response, line end included. `utf8`: the client has enabled UTF-8 (RFC 6855, RFC 9051)."""
    match response:
        case Fetched(octets) | FetchStart(octets) | FetchChunk(octets):
            return octets
        case FetchEnd():
            return CLOSE
        case FlagsFetched():
            return _flags_fetched(response)
        case Exists(count):
            return b"* %d EXISTS\r\n" % count
        case RecentCount(count):
            return b"* %d RECENT\r\n" % count
        case Expunged(number):
            return b"* %d EXPUNGE\r\n" % number
        case Vanished(uids, is_earlier):
            return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if is_earlier else b"", format_set(uids))
        case Tagged(tag, condition, text, code):
            return b"%b %b %b\r\n" % (tag, condition.value, _resp_text(text, code))
        case Untagged(condition, text, code):
            return b"* %b %b\r\n" % (condition.value, _resp_text(text, code))
        case Bye(text, code):
            return b"* BYE %b\r\n" % _resp_text(text, code)
        case Continue(text):
            return b"+ %b\r\n" % _plain(text)
        case Challenge(octets):
            return b"+ %b\r\n" % b64encode(octets)
        case Capabilities(names):
            return _words(b"* CAPABILITY", names)
        case Enabled(names):
            return _words(b"* ENABLED", names)
        case Listed():
            return _listed(b"LIST", response, utf8)
        case LsubListed():
            return _listed(b"LSUB", response, utf8)
        case Namespaces(personal, other_users, shared):
            return b"* NAMESPACE %b %b %b\r\n" % (
                _namespace(personal, utf8),
                _namespace(other_users, utf8),
                _namespace(shared, utf8),
            )
        case ServerId(parameters):
            return b"* ID %b\r\n" % _id_parameters(parameters)
        case MailboxStatus(mailbox, values):
            items = b" ".join([b"%b %b" % (item.value, _status_value(value)) for item, value in values])
            return b"* STATUS %b (%b)\r\n" % (_mailbox(mailbox, utf8), items)
        case QuotaRoots(mailbox, roots):
            quoted = b"".join([b" " + string(root.encode("ascii")) for root in roots])
            return b"* QUOTAROOT %b%b\r\n" % (_mailbox(mailbox, utf8), quoted)
        case QuotaUsage(root, resources):
            named = " ".join([f"{name} {used} {limit}" for name, used, limit in resources])
            return b"* QUOTA %b (%b)\r\n" % (string(root.encode("ascii")), named.encode("ascii"))
        case Found():
            return found_line(response)
        case ExtendedFound():
            return extended_found_line(response)
        case Sorted():
            return sorted_line(response)
        case Threaded(lists):
            return b"* THREAD %b\r\n" % lists if lists else b"* THREAD\r\n"
        case FlagsDefined(flags):
            return b"* FLAGS %b\r\n" % flag_list(flags)
        case _:
            assert_never(response)


def _resp_text(text: str, code: ResponseCode | None) -> bytes:
    return _plain(text) if code is None else b"[%b] %b" % (encode_code(code), _plain(text))


def _plain(text: str) -> bytes:
    """Text for a person, as one line of ASCII."""
    return text.encode("ascii", "replace").translate(_NO_CONTROLS)


_NO_CONTROLS = bytes(octet if 0x20 <= octet <= 0x7E else 0x20 for octet in range(256))


def _words(head: bytes, names: Iterable[str]) -> bytes:
    return b" ".join([head, *(name.encode("ascii") for name in names)]) + b"\r\n"


def _mailbox(name: str, utf8: bool) -> bytes:
    octets = encode_mailbox_name(name, utf8=utf8)
    return astring(octets) if octets.isascii() else utf8_string(octets)


def _delimiter(delimiter: str | None) -> bytes:
    return nstring(None if delimiter is None else delimiter.encode("ascii"))


def _listed(word: bytes, response: Listed | LsubListed, utf8: bool) -> bytes:
    attributes = " ".join([attribute.value for attribute in response.attributes]).encode("ascii")
    extended = _list_extended(response, utf8) if isinstance(response, Listed) else b""
    name = _mailbox(response.mailbox, utf8)
    return b"* %b (%b) %b %b%b\r\n" % (word, attributes, _delimiter(response.delimiter), name, extended)


def _list_extended(response: Listed, utf8: bool) -> bytes:
    """`mbox-list-extended` with a space in front, if there is any."""
    items: list[bytes] = []
    if response.has_subscribed_below:
        items.append(b'"CHILDINFO" ("SUBSCRIBED")')
    if response.old_name is not None:
        items.append(b'"OLDNAME" (%b)' % _mailbox(response.old_name, utf8))
    return b" (%b)" % b" ".join(items) if items else b""


def _status_value(value: int | bytes | None) -> bytes:
    if value is None:
        return b"NIL"
    return b"%d" % value if isinstance(value, int) else b"(%b)" % value


def _namespace(entries: tuple[NamespaceEntry, ...], utf8: bool) -> bytes:
    if not entries:
        return b"NIL"
    described = [
        b"(%b %b)" % (utf8_string(encode_mailbox_name(entry.prefix, utf8=utf8)), _delimiter(entry.delimiter))
        for entry in entries
    ]
    return b"(%b)" % b"".join(described)


def _id_parameters(parameters: tuple[tuple[str, str | None], ...]) -> bytes:
    if not parameters:
        return b"NIL"
    words: list[bytes] = []
    for name, value in parameters:
        words.append(string(name.encode()))
        words.append(nstring(None if value is None else value.encode()))
    return b"(%b)" % b" ".join(words)


def _flags_fetched(response: FlagsFetched) -> bytes:
    names = flag_names(response.flags.system, response.flags.keywords, response.is_recent)
    uid = b"" if response.uid is None else b"UID %d " % response.uid
    modseq = b"" if response.modseq is None else b" MODSEQ (%d)" % response.modseq
    return b"* %d FETCH (%bFLAGS (%b)%b)\r\n" % (response.number, uid, names, modseq)
