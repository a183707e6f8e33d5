"""A client's picture of a mailbox, made of what it is told and nothing else; and what it keeps when it goes away.

It knows no connection. Whoever has one tells it each command before it is sent, each line that comes, and it asserts
what the standards promise: numbers that stay right, no EXPUNGE at the wrong time, mod-sequences that only grow.

    cache = ImapCache(Speaks.QRESYNC)
    cache.begin(f"SELECT INBOX{cache.resume(kept)}")    kept is None the first time
    for line in lines: cache.hear(line)                 until the tagged one, that one too
    cache.messages, cache.kept()

Literals need not be cut out, as long as no line of a message begins with "* ".
"""

import itertools
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

_COUNTED = re.compile(r"\* (\d+) (EXISTS|EXPUNGE|RECENT|FETCH)(?: \((.*))?")
_VANISHED = re.compile(r"\* VANISHED (\(EARLIER\) )?([0-9:,]+)")
_CODE = re.compile(r"(?:\* OK|\S+ (?:OK|NO|BAD)) \[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)\]")
_MODIFIED = re.compile(r"\S+ OK \[MODIFIED ([0-9:,]+)\]")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_UID = re.compile(r"\bUID (\d+)")
_MODSEQ = re.compile(r"MODSEQ \((\d+)\)")
_SILENT = re.compile(r"(UID )?STORE ([0-9:,]+) (?:\(UNCHANGEDSINCE \d+\) )?([+-]?)FLAGS\.SILENT \((.*)\)")
_SEARCHES_NUMBERS = re.compile(r"UID SEARCH [0-9]")
_HOLDS_BACK = re.compile(r"(FETCH|STORE|SEARCH|SORT|THREAD|SELECT|EXAMINE) ")


class Speaks(IntEnum):
    """What the client has enabled, or shown that it knows; each includes those before."""

    PLAIN = 0
    CONDSTORE = 1
    QRESYNC = 2


@dataclass(slots=True)
class Message:
    """What the client knows of one; None: it was not told."""

    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What a client keeps of a mailbox until it comes back."""

    uidvalidity: int
    highest_modseq: int
    flags: dict[int, frozenset[str] | None]


def spans_of(text: str) -> list[range]:
    """The ranges of a set without `*`. They may be long: at a new epoch uids leap by a million."""
    ends = [sorted(int(end) for end in part.split(":")) for part in text.split(",")]
    return [range(each[0], each[-1] + 1) for each in ends]


def numbers_of(text: str) -> list[int]:
    """The members of a set without `*`."""
    return [number for span in spans_of(text) for number in span]


def _plus(flags: frozenset[str], named: frozenset[str]) -> frozenset[str]:
    """A flag that is there already keeps its spelling."""
    return flags | _minus(named, flags)


def _minus(flags: frozenset[str], named: frozenset[str]) -> frozenset[str]:
    """However they are spelled (RFC 9051 §9 (1))."""
    folded = {each.lower() for each in named}
    return frozenset(each for each in flags if each.lower() not in folded)


def set_of(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in numbers)


@dataclass(slots=True)
class ImapCache:
    """One selected mailbox. `highest_modseq` is worked out as RFC 7162 §6 has a client do it."""

    speaks: Speaks
    is_rev2: bool = False
    messages: list[Message] = field(default_factory=list)
    uidvalidity: int = 0
    uidnext: int = 0
    highest_modseq: int = 0
    is_selected: bool = False
    is_over: bool = False
    command: str = ""
    said: list[str] = field(default_factory=list)
    _coming_back: Kept | None = None
    _vanished_earlier: list[range] = field(default_factory=list)
    _told_modseq: int | None = None
    _heard_modseq: int = 0
    _is_selecting: bool = False
    _worked_out: list[tuple[int, Message]] = field(default_factory=list)  # by .SILENT, and nothing was told since

    # What the client does

    def begin(self, command: str) -> None:
        """The client is about to send it (without its tag)."""
        self.command = command
        self.said = [command]
        self._worked_out = []
        if command.startswith(("SELECT", "EXAMINE")):
            self.leave()
            self._is_selecting = True
        if silent := _SILENT.match(command):
            self._work_out(silent)

    def resume(self, kept: Kept | None, dice: random.Random | None = None) -> str:
        """The parameter for SELECT with which to come back, in one of the forms that mean the same."""
        self._coming_back = kept
        if kept is None or self.speaks < Speaks.QRESYNC:
            return " (CONDSTORE)" if self.speaks == Speaks.CONDSTORE else ""
        uids = sorted(kept.flags)
        known = matches = ""
        if uids and dice is not None and dice.random() < 0.5:
            known = f" 1:{uids[-1]}"
        if uids and dice is not None and dice.random() < 0.5:
            chosen = sorted(dice.sample(range(len(uids)), min(len(uids), 4)))
            matches = f" ({set_of(place + 1 for place in chosen)} {set_of(uids[place] for place in chosen)})"
        return f" (QRESYNC ({kept.uidvalidity} {kept.highest_modseq}{known}{matches}))"

    def kept(self) -> Kept:
        """What would be left if the connection broke now. What follows a gap will be as good as new."""
        known = itertools.takewhile(lambda message: message.uid is not None, self.messages)
        flags = {message.uid: message.flags for message in known if message.uid is not None}
        return Kept(self.uidvalidity, self.highest_modseq, flags)

    def leave(self) -> None:
        """No mailbox is selected any more."""
        self.messages = []
        self.uidvalidity = self.uidnext = self.highest_modseq = 0
        self.is_selected = False

    def _work_out(self, silent: re.Match[str]) -> None:
        """What .SILENT leaves to the client (RFC 3501 §6.4.6); what it cannot know, it forgets."""
        places = set(numbers_of(silent[2]))
        named = frozenset(silent[4].split())
        for number, message in enumerate(self.messages, start=1):
            place = message.uid if silent[1] else number
            if place is None:
                message.flags = None
            elif place in places:
                self._worked_out.append((place, message))
                if silent[3] == "":
                    message.flags = named
                elif message.flags is not None:
                    message.flags = _plus(message.flags, named) if silent[3] == "+" else _minus(message.flags, named)

    # What it hears

    def hear(self, line: str) -> None:
        self.said.append(line)
        if code := _CODE.match(line):
            self._learn_code(code[1], int(code[2]))
        if counted := _COUNTED.match(line):
            self._count(int(counted[1]), counted[2], counted[3] or "")
        elif vanished := _VANISHED.match(line):
            self._vanish(spans_of(vanished[2]), is_earlier=vanished[1] is not None)
        elif line.startswith("* OK [CLOSED]"):
            self._told_modseq, self._heard_modseq = None, 0
            if not self._is_selecting:
                self.leave()
        elif line.startswith("* BYE"):
            self.is_over = True
        elif not line.startswith(("* ", "+ ")) and re.match(r"\S+ (OK|NO|BAD)\b", line):
            self._end(line)

    def _learn_code(self, name: str, value: int) -> None:
        match name:
            case "UIDVALIDITY":
                self.uidvalidity = value
            case "UIDNEXT":
                self.uidnext = value
            case "HIGHESTMODSEQ":
                self._told_modseq = value

    def _count(self, number: int, kind: str, data: str) -> None:
        match kind:
            case "EXISTS":
                assert number >= len(self.messages), self.said
                self.messages += [Message() for _ in range(number - len(self.messages))]
            case "EXPUNGE":
                assert self.speaks < Speaks.QRESYNC, self.said
                self._assert_may_expunge()
                del self.messages[number - 1]
            case "RECENT":
                assert not self.is_rev2, self.said
            case "FETCH":
                self._learn(self.messages[number - 1], data)

    def _vanish(self, spans: list[range], *, is_earlier: bool) -> None:
        assert self.speaks == Speaks.QRESYNC, self.said
        if is_earlier:
            assert not any(message.uid in span for message in self.messages for span in spans), self.said
            if self._is_selecting:
                self._vanished_earlier += spans
            return
        self._assert_may_expunge()
        for uid in itertools.chain(*spans):
            place = self._place_of(uid)
            assert place is not None, (uid, self.said)  # of messages that the client counts (RFC 7162 §3.2.10.2)
            if self.messages[place].uid is None:
                self._forget_unnamed_around(place)
            del self.messages[place]

    def _forget_unnamed_around(self, place: int) -> None:
        """Of messages in a row whose uids were not told one is gone, and which one the client cannot know: what it
        learnt of them by number may be another's."""
        first, last = place, place
        while first > 0 and self.messages[first - 1].uid is None:
            first -= 1
        while last + 1 < len(self.messages) and self.messages[last + 1].uid is None:
            last += 1
        for message in self.messages[first : last + 1]:
            message.flags, message.modseq = None, 0

    def _place_of(self, uid: int) -> int | None:
        """Where a message with this uid is, or must be: uids ascend."""
        unknown: int | None = None
        for place, message in enumerate(self.messages):
            if message.uid == uid:
                return place
            if message.uid is None:
                unknown = place
            elif message.uid < uid:
                unknown = None
            else:
                break
        return unknown

    def _assert_may_expunge(self) -> None:
        assert self.command, self.said
        assert not _HOLDS_BACK.match(self.command), self.said
        assert not _SEARCHES_NUMBERS.match(self.command), self.said

    def _learn(self, message: Message, data: str) -> None:
        if uid := _UID.search(data):
            assert message.uid in (None, int(uid[1])), (message, self.said)
            message.uid = int(uid[1])
        if modseq := _MODSEQ.search(data):
            assert self.speaks >= Speaks.CONDSTORE, self.said
            assert int(modseq[1]) >= message.modseq, (message, self.said)
            message.modseq = int(modseq[1])
            self._heard_modseq = max(self._heard_modseq, message.modseq)
        if flags := _FLAGS.search(data):
            words = frozenset(flags[1].split())
            assert not (self.is_rev2 and "\\Recent" in words), self.said
            message.flags = words - {"\\Recent"}
            self._worked_out = [each for each in self._worked_out if each[1] is not message]

    def _end(self, line: str) -> None:
        condition = line.split()[1]
        assert condition != "BAD", self.said
        modified = _MODIFIED.match(line)
        spared = set(numbers_of(modified[1])) if modified else set()
        for place, message in self._worked_out:
            if condition == "NO" or place in spared:
                message.flags = None
        self._worked_out = []
        if self._is_selecting:
            self._is_selecting = False
            self.is_selected = condition == "OK"
            if self.is_selected:
                self._come_back()
        if self._told_modseq is not None:
            self.highest_modseq = self._told_modseq
        elif self.is_selected:
            self.highest_modseq = max(self.highest_modseq, self._heard_modseq)
        self._told_modseq, self._heard_modseq = None, 0
        if self.command.startswith(("CLOSE", "UNSELECT")) and condition == "OK":
            self.leave()
        self.command = ""

    def _come_back(self) -> None:
        """Number what was kept: it comes first, in the order of the uids; what is counted beyond is new."""
        kept, vanished = self._coming_back, self._vanished_earlier
        self._coming_back, self._vanished_earlier = None, []
        if kept is None or kept.uidvalidity != self.uidvalidity or self.speaks < Speaks.QRESYNC:
            assert not vanished, self.said
            return
        still_there = [uid for uid in sorted(kept.flags) if not any(uid in span for span in vanished)]
        assert len(still_there) <= len(self.messages), (still_there, self.said)
        for uid, message in zip(still_there, self.messages, strict=False):
            assert message.uid in (None, uid), (uid, message, self.said)
            message.uid = uid
            if message.flags is None:
                message.flags = kept.flags[uid]

    # What is known

    @property
    def first_unknown(self) -> int | None:
        """The number of the first message of which uid or flags are not known."""
        unknown = (
            place
            for place, message in enumerate(self.messages, start=1)
            if message.uid is None or message.flags is None
        )
        return next(unknown, None)

    def picture(self) -> dict[int, frozenset[str]]:
        """Flags by uid, once all are known."""
        assert self.first_unknown is None, self.messages
        uids = [message.uid or 0 for message in self.messages]
        assert uids == sorted(set(uids)), uids
        return {message.uid or 0: message.flags or frozenset() for message in self.messages}
