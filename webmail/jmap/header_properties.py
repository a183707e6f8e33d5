"""Names of properties that stand for header fields: `header:Name:asForm:all`, and those with a name of their own.

RFC 8621 §4.1.2 says which form a field may be had in, §4.1.3 how the properties are named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """A parsed form, as it is named behind `as`."""

    RAW = "Raw"
    TEXT = "Text"
    ADDRESSES = "Addresses"
    GROUPED_ADDRESSES = "GroupedAddresses"
    MESSAGE_IDS = "MessageIds"
    DATE = "Date"
    URLS = "URLs"


@dataclass(frozen=True, slots=True)
class HeaderProperty:
    """`asked` is what the client calls it, `name` the field's name as given there, `key` that in lower case."""

    asked: str
    name: str
    form: Form
    is_all: bool = False

    @property
    def key(self) -> str:
        return self.name.lower()


class NotAHeaderProperty(Exception):
    """The name of a property is malformed, or its form is not one that the field may be had in."""


_ADDRESSES = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc"}
    | {f"resent-{name}" for name in ("from", "sender", "reply-to", "to", "cc", "bcc")}
)
_IDS = frozenset({"message-id", "in-reply-to", "references", "resent-message-id"})
_DATES = frozenset({"date", "resent-date"})
_TEXTS = frozenset({"subject", "comments", "keywords"})
_URLS = frozenset(f"list-{name}" for name in ("help", "unsubscribe", "subscribe", "post", "owner", "archive"))
_OF_THE_RFCS = _ADDRESSES | _IDS | _DATES | _TEXTS | _URLS | {"return-path", "received"}  # RFC 5322, RFC 2369
_ALLOWED: Mapping[Form, frozenset[str]] = {
    Form.TEXT: _TEXTS,
    Form.ADDRESSES: _ADDRESSES,
    Form.GROUPED_ADDRESSES: _ADDRESSES,
    Form.MESSAGE_IDS: _IDS,
    Form.DATE: _DATES,
    Form.URLS: _URLS,
}
_NAME = re.compile(r"[!-9;-~]{1,998}")  # no line of a message holds a longer one (RFC 5322 §2.1.1)

CONVENIENCE: Mapping[str, HeaderProperty] = {
    each.asked: each
    for each in (
        HeaderProperty("messageId", "Message-ID", Form.MESSAGE_IDS),
        HeaderProperty("inReplyTo", "In-Reply-To", Form.MESSAGE_IDS),
        HeaderProperty("references", "References", Form.MESSAGE_IDS),
        HeaderProperty("sender", "Sender", Form.ADDRESSES),
        HeaderProperty("from", "From", Form.ADDRESSES),
        HeaderProperty("to", "To", Form.ADDRESSES),
        HeaderProperty("cc", "Cc", Form.ADDRESSES),
        HeaderProperty("bcc", "Bcc", Form.ADDRESSES),
        HeaderProperty("replyTo", "Reply-To", Form.ADDRESSES),
        HeaderProperty("subject", "Subject", Form.TEXT),
        HeaderProperty("sentAt", "Date", Form.DATE),
    )
}


def parse_header_property(text: str) -> HeaderProperty:
    """Of a property whose name begins with `header:`. Raises NotAHeaderProperty."""
    _, name, *suffixes = text.split(":")
    if _NAME.fullmatch(name) is None:
        raise NotAHeaderProperty(text)
    form, is_all = Form.RAW, False
    if suffixes and suffixes[-1] == "all":
        is_all = True
        suffixes.pop()
    if suffixes and suffixes[0].startswith("as"):
        try:
            form = Form(suffixes.pop(0)[2:])
        except ValueError:
            raise NotAHeaderProperty(text) from None
    if suffixes or not is_allowed(name, form):
        raise NotAHeaderProperty(text)
    return HeaderProperty(text, name, form, is_all)


def is_allowed(name: str, form: Form) -> bool:
    """May the field be had in this form? Fields that neither RFC 5322 nor RFC 2369 defines may, in any."""
    key = name.lower()
    return form is Form.RAW or key not in _OF_THE_RFCS or key in _ALLOWED[form]
