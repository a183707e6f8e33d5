"""The part of a notification that a person reads."""

import textwrap
import unicodedata
from collections.abc import Iterator

from mailserver.dsn.facts import Action, DsnFacts, RecipientReport
from mailserver.dsn.words import Words, cause_of, format_moment
from mailserver.mime.fields import parse_fields
from mailserver.mime.header import display

_ORDER = (Action.FAILED, Action.DELAYED, Action.RELAYED, Action.EXPANDED, Action.DELIVERED)
_HEADER_LIMIT_OCTETS = 65_536
_SUBJECT_CHARACTERS = 200
_SHOWN_SUBJECT_CHARACTERS = 80
_ANSWER_LINES = 30
_ANSWER_LINE_CHARACTERS = 500
_EXPLAINED_RECIPIENTS = 500
_COLUMNS = 78


def subject_of(facts: DsnFacts, words: Words) -> str:
    """`Not delivered: the subject`; the gravest of what is told."""
    gravest = min((each.action for each in facts.recipients), key=_ORDER.index)
    subject = _subject(facts.octets)
    if len(subject) > _SHOWN_SUBJECT_CHARACTERS:
        subject = subject[: _SHOWN_SUBJECT_CHARACTERS - 1].rstrip() + "…"
    return f"{words.subjects[gravest]}: {subject}" if subject else words.subjects[gravest]


def explain(facts: DsnFacts, words: Words, *, returns_whole: bool) -> str:
    """Lines that end in CRLF."""
    return "".join(f"{line}\r\n" for line in _lines(facts, words, returns_whole=returns_whole))


def _lines(facts: DsnFacts, words: Words, *, returns_whole: bool) -> Iterator[str]:
    yield words.greeting.format(hostname=facts.hostname)
    yield ""
    for action in _ORDER:
        told = [each for each in facts.recipients if each.action is action]
        if told:
            yield from _wrapped(words.openings[action])
            yield ""
            for recipient in told[:_EXPLAINED_RECIPIENTS]:
                yield from _of_recipient(facts, words, recipient)
            if len(told) > _EXPLAINED_RECIPIENTS:
                yield f"    … (+{len(told) - _EXPLAINED_RECIPIENTS})"
                yield ""
    if any(each.action is Action.DELAYED for each in facts.recipients):
        yield from _wrapped(words.no_need_to_resend)
        yield ""
    if subject := _subject(facts.octets):
        yield from _wrapped(words.about_subject.format(subject=subject))
    if facts.arrived_at:
        sent_at = facts.arrived_at.astimezone(facts.reader.time_zone)
        yield words.about_date.format(date=format_moment(words, sent_at))
    yield words.whole_follows if returns_whole else words.header_follows
    if facts.queue_id:
        yield words.queue_id.format(queue_id=facts.queue_id)


def _of_recipient(facts: DsnFacts, words: Words, recipient: RecipientReport) -> Iterator[str]:
    yield f"  <{_safe(recipient.address)}>"
    if original := _original_address(recipient):
        yield f"    ({_safe(original)})"
    if recipient.action in (Action.FAILED, Action.DELAYED):
        cause = cause_of(words, recipient.status)
        yield from _wrapped(cause.reason, indent=4)
        if recipient.answer:
            yield from _answer(words, recipient)
        if recipient.action is Action.FAILED:
            yield from _wrapped(cause.advice, indent=4)
        elif recipient.retry_until:
            until = recipient.retry_until.astimezone(facts.reader.time_zone)
            yield from _wrapped(words.retries_until.format(date=format_moment(words, until)), indent=4)
    yield ""


def _answer(words: Words, recipient: RecipientReport) -> Iterator[str]:
    """Word for word, but for what could be mistaken for more than words."""
    host = recipient.remote_host
    yield "    " + (words.answered.format(host=_safe(host)) if host else words.answered_here)
    lines = (recipient.answer or "").splitlines()
    for line in lines[:_ANSWER_LINES]:
        yield "      " + _safe(line[:_ANSWER_LINE_CHARACTERS])
    if len(lines) > _ANSWER_LINES:
        yield "      …"


def _original_address(recipient: RecipientReport) -> str:
    """The address the sender wrote, where it is another than the one that is told of."""
    address = (recipient.original or "").partition(";")[2]
    return address if address.casefold() != recipient.address.casefold() else ""


def _subject(octets: bytes) -> str:
    end = octets.find(b"\r\n\r\n", 0, _HEADER_LIMIT_OCTETS)
    header = octets[: end + 2 if end >= 0 else _HEADER_LIMIT_OCTETS]
    return _safe(display(parse_fields(header).get("subject", ""))[:_SUBJECT_CHARACTERS]).strip()


def _safe(text: str) -> str:
    """Without controls, direction marks and the like: what is quoted looks like what it is."""
    return "".join("?" if unicodedata.category(c)[0] == "C" else " " if c.isspace() else c for c in text)


def _wrapped(text: str, indent: int = 0) -> list[str]:
    space = " " * indent
    if not text.isascii():  # textwrap counts characters, and Chinese has no spaces to break at: clients wrap
        return [space + text]
    return textwrap.wrap(text, _COLUMNS, initial_indent=space, subsequent_indent=space, break_long_words=False)
