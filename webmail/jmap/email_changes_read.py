"""What a client wants changed of Emails, or set on new ones: keywords, mailboxes, patches (RFC 8621 §4.1.1, §4.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailserver.services.email_changing import EmailChange
from storage.types import MailboxId, MessageId
from webmail.jmap.email_header_writing import InvalidValue, parse_rfc3339
from webmail.jmap.email_keywords import ALL_FLAGS, flags_of, is_keyword
from webmail.jmap.errors import JsonObject, SetError
from webmail.jmap.ids import parse_mailbox_id
from webmail.jmap.method import Context
from webmail.jmap.patches import parse_patch

_MUTABLE = frozenset({"keywords", "mailboxIds"})


@dataclass(frozen=True, slots=True)
class EmailPatch:
    """`change` is to be made if `unchanged` are the values that the Email has: nobody can change those.

    `lowers_keywords`: some are given in capitals, which they do not keep; so the client is told what became of them.
    """

    change: EmailChange
    unchanged: Mapping[str, Any]
    lowers_keywords: bool


def read_update(context: Context, message_id: MessageId, given: JsonObject) -> EmailPatch:
    """Raises SetError (invalidPatch, invalidProperties)."""
    patch = parse_patch(given)
    if wrong := patch.members.keys() - _MUTABLE:
        raise SetError("invalidPatch", f"no member of {min(wrong)} can be changed")
    change: dict[str, Any] = {}
    if "keywords" in patch.whole:
        bits, words = flags_of(read_keywords(patch.whole["keywords"]))
        change |= {"add_flags": bits, "remove_flags": ALL_FLAGS & ~bits, "keywords": words}
    if "keywords" in patch.members:
        added, removed = _members(patch.members["keywords"], "keywords")
        for keyword in added:
            _demand_keyword(keyword)
        change["add_flags"], change["add_keywords"] = flags_of(added)
        change["remove_flags"], change["remove_keywords"] = flags_of(removed)
    if "mailboxIds" in patch.whole:
        change["mailboxes"] = read_mailboxes(context, patch.whole["mailboxIds"])
    if "mailboxIds" in patch.members:
        added, removed = _members(patch.members["mailboxIds"], "mailboxIds")
        change["add_mailboxes"] = frozenset(_mailbox(context, each) for each in added)
        gone = {parse_mailbox_id(context.real_id(each)) for each in removed}
        change["remove_mailboxes"] = frozenset(each for each in gone if each is not None)
    unchanged = {name: value for name, value in patch.whole.items() if name not in _MUTABLE}
    given_keywords = [*(patch.whole.get("keywords") or ()), *patch.members.get("keywords", ())]
    return EmailPatch(
        EmailChange(message_id, **change), unchanged, any(keyword != keyword.lower() for keyword in given_keywords)
    )


def read_keywords(given: Any) -> frozenset[str]:
    """In lower case; null stands for the default, which is none. Raises SetError."""
    keywords = _set(given if given is not None else {}, "keywords")
    for keyword in keywords:
        _demand_keyword(keyword)
    return frozenset(keyword.lower() for keyword in keywords)


def read_mailboxes(context: Context, given: Any) -> frozenset[MailboxId]:
    """At least one. Raises SetError."""
    mailboxes = frozenset(_mailbox(context, each) for each in _set(given, "mailboxIds"))
    if not mailboxes:
        raise SetError("invalidProperties", "an Email is in one mailbox at least", ("mailboxIds",))
    return mailboxes


def read_received_at(given: Any) -> datetime:
    """Raises SetError."""
    try:
        if not isinstance(given, str) or not given.endswith("Z"):
            raise InvalidValue("it must be a date in UTC")
        return parse_rfc3339(given)
    except InvalidValue as invalid:
        raise SetError("invalidProperties", f"receivedAt: {invalid}", ("receivedAt",)) from None


def agrees(given: Any, current: Any) -> bool:
    """Is what a client gives what the object has, as far as it gives it?"""
    match given:
        case dict():
            return isinstance(current, dict) and all(
                name in current and agrees(value, current[name]) for name, value in given.items()
            )
        case list():
            return isinstance(current, list) and len(given) == len(current) and all(map(agrees, given, current))
        case _:
            return bool(given == current) and isinstance(given, bool) == isinstance(current, bool)


def _set(given: Any, name: str) -> list[str]:
    """The members of a set, which is an object of trues."""
    if not isinstance(given, dict) or any(value is not True for value in given.values()):
        raise SetError("invalidProperties", f"{name} must be an object whose values are true", (name,))
    return list(given)


def _members(given: Mapping[str, Any], name: str) -> tuple[list[str], list[str]]:
    """Those that come, and those that go."""
    for member, value in given.items():
        if value is not True and value is not None:
            raise SetError("invalidProperties", "it must be true or null", (f"{name}/{member}",))
    return [each for each in given if given[each]], [each for each in given if given[each] is None]


def _demand_keyword(keyword: str) -> None:
    if not is_keyword(keyword):
        raise SetError("invalidProperties", f"{keyword!r} is no keyword", ("keywords",))


def _mailbox(context: Context, given: str) -> MailboxId:
    found = parse_mailbox_id(context.real_id(given))
    if found is None:
        raise SetError("invalidProperties", "there is no such mailbox", ("mailboxIds",))
    return found
