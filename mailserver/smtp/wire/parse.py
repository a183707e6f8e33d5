"""A command line becomes a command, fully typed, or a named refusal (RFC 5321 §4.1.1)."""

import re
from collections.abc import Callable

from mailserver.smtp.errors import CommandSyntaxError, CommandUnknown, ParameterUnknown
from mailserver.smtp.wire.commands import (
    Auth,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from mailserver.smtp.wire.paths import parse_forward_path, parse_reverse_path, split_path

_VERB_LIMIT_OCTETS = 16
_CLIENT_NAME = re.compile(rb"[!#-'*-;=?-~]{1,255}")  # graphic, without what would break a Received field: " ( ) < > @
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")


def parse(line: bytes) -> Command:
    """Raises CommandUnknown, CommandSyntaxError, PathInvalid, PathNotAscii, ParameterUnknown."""
    verb, _, argument = line.partition(b" ")
    parse_argument = _PARSERS.get(verb.upper()) if len(verb) <= _VERB_LIMIT_OCTETS else None
    if parse_argument is None:
        raise CommandUnknown
    if b"\r" in line or b"\0" in line:
        raise CommandSyntaxError("A command line holds no CR and no NUL")
    return parse_argument(argument.rstrip(b" \t"))


def _parse_mail(argument: bytes) -> Mail:
    if argument[:5].upper() != b"FROM:":
        raise CommandSyntaxError("Syntax: MAIL FROM:<address> [parameters]")
    path, rest = split_path(argument[5:])
    reverse_path = parse_reverse_path(path)
    size_octets = None
    for keyword, value in _parameters(rest):
        match keyword:
            case "SIZE":
                if value is None or not _SIZE.fullmatch(value):
                    raise CommandSyntaxError("Syntax: SIZE=<octets>")
                size_octets = int(value)
            case "BODY":
                if value is None or value.upper() not in ("7BIT", "8BITMIME"):
                    raise CommandSyntaxError("BODY is 7BIT or 8BITMIME")
            case "AUTH":
                if value is None:
                    raise CommandSyntaxError("Syntax: AUTH=<mailbox>")  # who first sent it; nothing here depends on it
            case _:
                raise ParameterUnknown(keyword)
    return Mail(reverse_path, size_octets)


def _parse_rcpt(argument: bytes) -> Rcpt:
    if argument[:3].upper() != b"TO:":
        raise CommandSyntaxError("Syntax: RCPT TO:<address>")
    path, rest = split_path(argument[3:])
    forward_path = parse_forward_path(path)
    for keyword, _ in _parameters(rest):
        raise ParameterUnknown(keyword)
    return Rcpt(forward_path)


def _parameters(rest: bytes) -> list[tuple[str, str | None]]:
    if not rest:
        return []
    if not rest.startswith(b" "):
        raise CommandSyntaxError("A space stands between the path and its parameters")
    parameters: list[tuple[str, str | None]] = []
    for word in rest.decode("ascii", "replace").split():
        found = _PARAMETER.fullmatch(word)
        if found is None:
            raise CommandSyntaxError("A parameter is KEYWORD or KEYWORD=value")
        keyword = found[1].upper()
        if any(keyword == earlier for earlier, _ in parameters):
            raise CommandSyntaxError(f"{keyword} is given twice")
        parameters.append((keyword, found[2]))
    return parameters


def _parse_client(argument: bytes) -> str:
    if not _CLIENT_NAME.fullmatch(argument):
        raise CommandSyntaxError("Syntax: the name of the client or its address in brackets, and nothing else")
    return argument.decode("ascii")


def _parse_auth(argument: bytes) -> Auth:
    words = argument.decode("ascii", "replace").split()
    if not 1 <= len(words) <= 2 or not _MECHANISM.fullmatch(words[0]):
        raise CommandSyntaxError("Syntax: AUTH mechanism [initial response]")
    if len(words) == 1:
        return Auth(words[0].upper(), None)
    return Auth(words[0].upper(), words[1].encode())


def _without_argument(command: Command) -> Callable[[bytes], Command]:
    def parse_nothing(argument: bytes) -> Command:
        if argument:
            raise CommandSyntaxError("This command has no argument")
        return command

    return parse_nothing


def _whatever_follows(command: Command) -> Callable[[bytes], Command]:
    return lambda _: command


_PARSERS: dict[bytes, Callable[[bytes], Command]] = {
    b"HELO": lambda argument: Helo(_parse_client(argument)),
    b"EHLO": lambda argument: Ehlo(_parse_client(argument)),
    b"LHLO": lambda argument: Lhlo(_parse_client(argument)),
    b"MAIL": _parse_mail,
    b"RCPT": _parse_rcpt,
    b"DATA": _without_argument(Data()),
    b"RSET": _without_argument(Rset()),
    b"QUIT": _without_argument(Quit()),
    b"STARTTLS": _without_argument(StartTls()),
    b"NOOP": _whatever_follows(Noop()),
    b"VRFY": _whatever_follows(Vrfy()),
    b"EXPN": _whatever_follows(Expn()),
    b"HELP": _whatever_follows(Help()),
    b"AUTH": _parse_auth,
}
