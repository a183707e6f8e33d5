"""What a client may do next, at random, with numbers that are right as far as it knows."""

import random
from collections.abc import Callable, Sequence

from tests.imap_cache import ImapCache, Speaks

FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Junk", "Work")
LETTER = "A: b\r\n\r\nc"


def next_deed(cache: ImapCache, dice: random.Random, mailboxes: Sequence[str]) -> str:
    """A command, without tag and line end, for a client that has a mailbox selected."""
    if not cache.messages or dice.random() < 0.25:
        return dice.choice(
            ("NOOP", "CHECK", "EXPUNGE", "UID FETCH 1:* FLAGS", "UID SEARCH UNSEEN", _append(dice, mailboxes))
        )
    return dice.choice(_DEEDS)(cache, dice, mailboxes)


def _some(cache: ImapCache, dice: random.Random) -> str:
    ends = [dice.randint(1, len(cache.messages)) for _ in range(2)]
    return f"{min(ends)}:{max(ends)}"


def _some_uids(cache: ImapCache, dice: random.Random) -> str:
    uids = [message.uid for message in cache.messages if message.uid is not None] or [1]
    ends = [dice.choice(uids) for _ in range(2)]
    return f"{min(ends)}:{max(ends)}"


def _append(dice: random.Random, mailboxes: Sequence[str]) -> str:
    flags = " ".join(dice.sample(FLAGS, dice.randint(0, 2)))
    return f"APPEND {dice.choice(mailboxes)} ({flags}) {{{len(LETTER)}+}}\r\n{LETTER}"


def _store(cache: ImapCache, dice: random.Random, mailboxes: Sequence[str]) -> str:
    flags = " ".join(dice.sample(FLAGS, dice.randint(1, 2)))
    what = f"{dice.choice(('+', '-', ''))}FLAGS{dice.choice(('', '.SILENT'))} ({flags})"
    unless = ""
    if cache.speaks >= Speaks.CONDSTORE and dice.random() < 0.3:
        unless = f"(UNCHANGEDSINCE {max(0, cache.highest_modseq - dice.randint(0, 5))}) "
    if dice.random() < 0.7:
        return f"STORE {_some(cache, dice)} {unless}{what}"
    return f"UID STORE {_some_uids(cache, dice)} {unless}{what}"


def _fetch(cache: ImapCache, dice: random.Random, mailboxes: Sequence[str]) -> str:
    items = ["UID FLAGS", "UID BODY[TEXT]", "UID FLAGS RFC822.SIZE", "FLAGS", "RFC822.SIZE"]
    if cache.speaks >= Speaks.CONDSTORE:
        items += ["FLAGS MODSEQ", "UID MODSEQ"]
        if dice.random() < 0.2:
            since = f"CHANGEDSINCE {max(1, cache.highest_modseq - dice.randint(0, 9))}"
            vanished = " VANISHED" if cache.speaks == Speaks.QRESYNC and dice.random() < 0.7 else ""
            return f"UID FETCH 1:* (FLAGS) ({since}{vanished})"
    if dice.random() < 0.7:
        return f"FETCH {_some(cache, dice)} ({dice.choice(items)})"
    return f"UID FETCH {_some_uids(cache, dice)} ({dice.choice(items)})"


def _search(cache: ImapCache, dice: random.Random, mailboxes: Sequence[str]) -> str:
    keys = ("UNSEEN", f"{_some(cache, dice)} KEYWORD $Junk", "DELETED", "SUBJECT x")
    return f"{dice.choice(('', 'UID '))}SEARCH {dice.choice(keys)}"


def _copy(cache: ImapCache, dice: random.Random, mailboxes: Sequence[str]) -> str:
    verb = dice.choice(("COPY", "MOVE"))
    if dice.random() < 0.5:
        return f"{verb} {dice.randint(1, len(cache.messages))} {dice.choice(mailboxes)}"
    return f"UID {verb} {_some_uids(cache, dice)} {dice.choice(mailboxes)}"


def _uid_expunge(cache: ImapCache, dice: random.Random, mailboxes: Sequence[str]) -> str:
    return f"UID EXPUNGE {_some_uids(cache, dice)}"


_DEEDS: tuple[Callable[[ImapCache, random.Random, Sequence[str]], str], ...] = (
    _store,
    _store,
    _store,
    _fetch,
    _fetch,
    _fetch,
    _search,
    _copy,
    _uid_expunge,
)
