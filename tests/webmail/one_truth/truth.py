"""What both protocols say of an account fits together (RFC 8474, RFC 8621 §§2-4)."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tests.webmail.one_truth.imap_people import Box

_SYSTEM = {"\\Seen": "$seen", "\\Answered": "$answered", "\\Flagged": "$flagged", "\\Draft": "$draft"}


Standing = tuple[str, str, frozenset[str], str]  # EMAILID, mailbox, keywords, thread


def standing_by_imap(boxes: Iterable[Box]) -> Counter[Standing]:
    r"""Where IMAP shows messages. Those with \Deleted are no Emails."""
    return Counter(
        (each.email_id, box.id, frozenset(_SYSTEM.get(flag, flag.lower()) for flag in each.flags), each.thread_id)
        for box in boxes
        for each in box.messages.values()
        if "\\Deleted" not in each.flags
    )


def standing_by_jmap(emails: Mapping[str, Any], origins: Mapping[str, str]) -> Counter[Standing]:
    return Counter(
        (origins[each], box, frozenset(email["keywords"]), email["threadId"])
        for each, email in emails.items()
        for box in email["mailboxIds"]
    )


def assert_one_truth(boxes: Collection[Box], told: Mapping[str, Mapping[str, Any]], origins: Mapping[str, str]) -> None:
    """`told`: records by id of each type, by its name. `origins`: the EMAILID of each Email, which is its own id but
    for a copy in the mailbox where it stood: IMAP calls both one, JMAP cannot."""
    emails = told["Email"]
    assert standing_by_jmap(emails, origins) == standing_by_imap(boxes)
    assert all(email["mailboxIds"] for email in emails.values())
    threads: dict[str, set[str]] = defaultdict(set)
    for each, email in emails.items():
        threads[email["threadId"]].add(each)
    assert {each: set(thread["emailIds"]) for each, thread in told["Thread"].items()} == threads
    assert all(len(each["emailIds"]) == len(threads[each["id"]]) for each in told["Thread"].values())
    mailboxes = told["Mailbox"]
    names = {box.id: box.name for box in boxes}
    assert {each: _path(mailboxes, each) for each in names} == names
    trash = next((each["id"] for each in mailboxes.values() if each["role"] == "trash"), None)
    for box in boxes:
        shown = mailboxes[box.id]
        counts = tuple(shown[name] for name in ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads"))
        assert counts == _counted(box.id, emails, threads, trash), (box.name, shown)


def _path(mailboxes: Mapping[str, Any], each: str | None) -> str:
    parts: list[str] = []
    while each is not None:
        parts.append(mailboxes[each]["name"])
        each = mailboxes[each]["parentId"]
    path = "/".join(reversed(parts))
    return "INBOX" + path[5:] if path.split("/")[0].upper() == "INBOX" else path


def _counted(
    box: str, emails: Mapping[str, Any], threads: Mapping[str, set[str]], trash: str | None
) -> tuple[int, int, int, int]:
    """As RFC 8621 §2 words it: what is only in the trash counts there alone."""
    here = {each for each, email in emails.items() if box in email["mailboxIds"]}
    unread = {each for each, email in emails.items() if not email["keywords"].keys() & {"$seen", "$draft"}}
    in_trash = {each for each, email in emails.items() if trash in email["mailboxIds"]}
    only_trash = {each for each in in_trash if len(emails[each]["mailboxIds"]) == 1}
    counting = in_trash if box == trash else emails.keys() - only_trash
    threads_here = {emails[each]["threadId"] for each in here}
    unread_threads = [each for each in threads_here if threads[each] & unread & counting]
    return len(here), len(here & unread), len(threads_here), len(unread_threads)
