"""A place in the text of a command, and the tokens of RFC 3501 §9 that can be read there.

Each method reads one token and moves on, or raises CommandSyntaxError. Tolerated beyond the grammar:

* 8-bit octets in quoted strings, which clients send in passwords and search texts; they must be UTF-8 to become text.
* Spaces at the end of a command.
* Numbers up to 63 bits where RFC 9051 has `number64` (sizes, partial fetches).
"""

import re
from dataclasses import dataclass

from mailserver.imap.wire.commands import Tag
from mailserver.imap.wire.sequence import Range, parse_message_ranges, parse_ranges
from mailserver.imap.wire.syntax_errors import CommandSyntaxError

ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
LIST_CHARACTERS = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]{1,256}+(?= |\Z)')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]++|\\["\\])*+)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"\{[0-9]{1,20}\+?\}\r\n")
_ANNOUNCED = re.compile(rb"\{([0-9]{1,19})\+?\}\Z")
_NUMBER = re.compile(rb"[0-9]{1,19}(?![0-9])")
_SEQUENCE_SET = re.compile(rb"[0-9:*,]+")
_MESSAGES = re.compile(rb"[0-9:*,$]+")
_TRAILING_SPACES = re.compile(rb" *\Z")

MAX_NUMBER = 0xFFFF_FFFF
MAX_NUMBER64 = 0x7FFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on what a command may ask, beyond the octets the framer lets through.

    `search_depth` bounds recursion, here and in whoever walks the tree; `search_bodies` bounds BODY and TEXT, each of
    which reads every message in question.
    """

    search_depth: int = 100
    search_keys: int = 5_000
    search_bodies: int = 50
    sort_criteria: int = 32
    fetch_items: int = 128
    section_depth: int = 64
    flags: int = 128
    flag_octets: int = 128
    list_patterns: int = 20


DEFAULT_LIMITS = ParseLimits()


class Cursor:
    """Reads `text` from the front; a `{n}` CRLF in it stands for the next of `literals`, as the framer leaves them.

    `utf8`: the client has enabled UTF8=ACCEPT or IMAP4rev2, so mailbox names are UTF-8.
    """

    __slots__ = ("_literals", "_next_literal", "limits", "position", "tag", "text", "utf8")

    def __init__(self, text: bytes, literals: tuple[bytes, ...], limits: ParseLimits, *, utf8: bool = False) -> None:
        self.text = text
        self.position = 0
        self.tag: Tag | None = None
        self.limits = limits
        self.utf8 = utf8
        self._literals = literals
        self._next_literal = 0

    def error(self, reason: str) -> CommandSyntaxError:
        return CommandSyntaxError(self.tag, reason)

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Read what the pattern matches here, if it does."""
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return found

    def at(self, octets: bytes) -> bool:
        """Do these octets come next? Nothing is read."""
        return self.text.startswith(octets, self.position)

    def accept(self, octets: bytes) -> bool:
        """Read these octets if they come next."""
        if self.text.startswith(octets, self.position):
            self.position += len(octets)
            return True
        return False

    def accept_word(self, octets: bytes) -> bool:
        """As `accept`, without regard to case; `octets` are in upper case."""
        found = self.text[self.position : self.position + len(octets)].upper() == octets
        if found:
            self.position += len(octets)
        return found

    def expect(self, octets: bytes, where: str) -> None:
        if not self.accept(octets):
            raise self.error(f"expected {octets.decode('ascii')!r} {where}")

    def space(self, before: str) -> None:
        """Exactly one space (RFC 3501 §9 note 2)."""
        if not self.accept(b" "):
            raise self.error(f"expected a space and {before}")

    def has_more(self) -> bool:
        """Does one space and then something else come next? Nothing is read."""
        return self.at(b" ") and self.text[self.position + 1 : self.position + 2] not in (b"", b" ")

    def end(self) -> None:
        if not self.match(_TRAILING_SPACES):
            raise self.error("there is more than the command takes")

    def read_tag(self) -> Tag:
        found = self.match(_TAG)
        if not found:
            raise self.error("a command begins with a tag")
        self.tag = Tag(found[0])
        return self.tag

    def atom(self, what: str) -> bytes:
        found = self.match(ATOM)
        if not found:
            raise self.error(f"expected {what}")
        return found[0]

    def word(self, what: str) -> bytes:
        """An atom that compares without regard to case, in upper case."""
        return self.atom(what).upper()

    def astring(self, what: str) -> bytes:
        found = self.match(ASTRING)
        return found[0] if found else self.string(what)

    def string(self, what: str) -> bytes:
        if self.at(b'"'):
            found = self.match(_QUOTED)
            if not found:
                raise self.error(f"the quoted string of {what} does not end, or has a stray backslash")
            return _ESCAPED.sub(rb"\1", found[1]) if b"\\" in found[1] else found[1]
        if self.match(_LITERAL) and self._next_literal < len(self._literals):
            octets = self._literals[self._next_literal]
            self._next_literal += 1
            if b"\0" in octets:
                raise self.error(f"the literal of {what} holds a NUL")
            return octets
        raise self.error(f"expected {what}")

    def text_of(self, octets: bytes, what: str) -> str:
        """A string's octets as text."""
        try:
            return octets.decode()
        except UnicodeDecodeError:
            raise self.error(f"{what} is not UTF-8") from None

    def number(self, what: str, *, smallest: int = 0, largest: int = MAX_NUMBER) -> int:
        found = self.match(_NUMBER)
        if not found or not smallest <= (number := int(found[0])) <= largest:
            raise self.error(f"expected {what}, a number from {smallest} to {largest}")
        return number

    def ranges(self) -> tuple[Range, ...]:
        found = self.match(_SEQUENCE_SET)
        if not found:
            raise self.error("expected a sequence set")
        try:
            return parse_ranges(found[0])
        except ValueError as reason:
            raise self.error(str(reason)) from None

    def message_ranges(self) -> tuple[Range, ...]:
        """A sequence set in which `$` may stand (RFC 5182 §3)."""
        found = self.match(_MESSAGES)
        if not found:
            raise self.error("expected a sequence set")
        try:
            return parse_message_ranges(found[0])
        except ValueError as reason:
            raise self.error(str(reason)) from None

    def announced_literal(self) -> int:
        """Octets of the literal announced where the text ends: the message of an APPEND, which the framer streams."""
        found = self.match(_ANNOUNCED)
        if not found:
            raise self.error("expected the message as a literal")
        return int(found[1])
