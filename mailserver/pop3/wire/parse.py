"""A command line becomes a command (RFC 1939 §3, RFC 2449 §4): a keyword of any case, arguments parted by one space."""

from collections.abc import Callable

from mailserver.pop3.wire.commands import (
    Auth,
    Capa,
    Command,
    Dele,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)

_LARGEST = 2**31 - 1


class CommandInvalid(Exception):
    """The line is no command; the text says what is wrong with it."""


def parse(line: bytes) -> Command:
    """Raises CommandInvalid."""
    keyword, _, rest = line.partition(b" ")
    reader = _READERS.get(keyword.upper())
    if reader is None:
        raise CommandInvalid("There is no such command")
    return reader(rest)


def _nothing(command: Callable[[], Command]) -> Callable[[bytes], Command]:
    def read(rest: bytes) -> Command:
        if rest.strip(b" "):
            raise CommandInvalid("The command takes no argument")
        return command()

    return read


def _perhaps_number(command: Callable[[int | None], Command]) -> Callable[[bytes], Command]:
    return lambda rest: command(_number(rest.strip(b" ")) if rest.strip(b" ") else None)


def _one_number(command: Callable[[int], Command]) -> Callable[[bytes], Command]:
    return lambda rest: command(_number(rest.strip(b" ")))


def _top(rest: bytes) -> Command:
    words = rest.split()
    if len(words) != 2:
        raise CommandInvalid("TOP takes the number of a message and of lines")
    return Top(_number(words[0]), _number(words[1], least=0))


def _user(rest: bytes) -> Command:
    name = _text(rest).strip(" ")
    if not name:
        raise CommandInvalid("USER takes a name")
    return User(name)


def _auth(rest: bytes) -> Command:
    words = rest.split()
    if len(words) > 2:
        raise CommandInvalid("AUTH takes a mechanism and perhaps an initial response")
    mechanism = _text(words[0]).upper() if words else None
    return Auth(mechanism, words[1] if len(words) == 2 else None)


def _number(word: bytes, *, least: int = 1) -> int:
    if not (word.isdigit() and len(word) <= 10 and least <= int(word) <= _LARGEST):
        raise CommandInvalid("A number is missing or is none")
    return int(word)


def _text(octets: bytes) -> str:
    """UTF-8, which USER and PASS may use (RFC 6856 §2.2)."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise CommandInvalid("The argument is not UTF-8") from None


_READERS: dict[bytes, Callable[[bytes], Command]] = {
    b"AUTH": _auth,
    b"CAPA": _nothing(Capa),
    b"DELE": _one_number(Dele),
    b"LIST": _perhaps_number(List),
    b"NOOP": _nothing(Noop),
    b"PASS": lambda rest: Pass(_text(rest)),
    b"QUIT": _nothing(Quit),
    b"RETR": _one_number(Retr),
    b"RSET": _nothing(Rset),
    b"STAT": _nothing(Stat),
    b"STLS": _nothing(Stls),
    b"TOP": _top,
    b"UIDL": _perhaps_number(Uidl),
    b"USER": _user,
    b"UTF8": _nothing(Utf8),
}
