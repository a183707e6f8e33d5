"""A command line becomes a command, fully typed, or a named refusal (RFC 5321 §4.1.1)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mailserver.dsn.addresses import decode_original_recipient, decode_xtext
from mailserver.dsn.facts import future_release_request
from mailserver.smtp.errors import ChunkSizeUnreadable, CommandSyntaxError, CommandUnknown, ParameterUnknown
from mailserver.smtp.wire.commands import (
    Auth,
    Bdat,
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
from storage.outgoing_types import Notify, ReturnContent

_VERB_LIMIT_OCTETS = 16
_CLIENT_NAME_CHARACTERS = 255
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")
_SECONDS = re.compile(r"[1-9][0-9]{0,8}")  # RFC 4865 §3: future-release-integer
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)  # RFC 3339 §5.6, in UTC (RFC 4865 §3)
_ENVELOPE_ID_CHARACTERS = 100  # RFC 3461 §4.4
_ORIGINAL_RECIPIENT_OCTETS = 500  # RFC 3461 §4.2
_RETURN_CONTENT = {"FULL": ReturnContent.FULL, "HDRS": ReturnContent.HEADERS}
_NOTIFY = {"SUCCESS": Notify.SUCCESS, "FAILURE": Notify.FAILURE, "DELAY": Notify.DELAY}
_CHUNK = re.compile(rb"([0-9]{1,20})( +LAST)?", re.IGNORECASE)
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
    size_octets = envelope_id = return_content = hold = future_release = None
    is_utf8 = False
    for keyword, value in _parameters(rest):
        match keyword:
            case "SIZE":
                if value is None or not _SIZE.fullmatch(value):
                    raise CommandSyntaxError("Syntax: SIZE=<octets>")
                size_octets = int(value)
            case "BODY":
                if value is None or value.upper() not in ("7BIT", "8BITMIME"):
                    raise CommandSyntaxError("BODY is 7BIT or 8BITMIME")  # what it really is, its octets tell
            case "SMTPUTF8":
                if value is not None:
                    raise CommandSyntaxError("SMTPUTF8 has no value")
                is_utf8 = True
            case "RET":
                return_content = _RETURN_CONTENT.get((value or "").upper())
                if return_content is None:
                    raise CommandSyntaxError("RET is FULL or HDRS")
            case "ENVID":
                envelope_id = _parse_envelope_id(value)
            case "AUTH":
                if value is None:
                    raise CommandSyntaxError("Syntax: AUTH=<mailbox>")  # who first sent it; nothing here depends on it
            case "HOLDFOR" | "HOLDUNTIL":
                if hold is not None:
                    raise CommandSyntaxError("HOLDFOR or HOLDUNTIL is given once")
                hold = _parse_interval(value) if keyword == "HOLDFOR" else _parse_moment(value)
                future_release = future_release_request(keyword, value or "")
            case _:
                raise ParameterUnknown(keyword)
    holds_utf8 = not argument.isascii()
    return Mail(reverse_path, size_octets, envelope_id, return_content, is_utf8, holds_utf8, hold, future_release)


def _parse_rcpt(argument: bytes) -> Rcpt:
    if argument[:3].upper() != b"TO:":
        raise CommandSyntaxError("Syntax: RCPT TO:<address> [parameters]")
    path, rest = split_path(argument[3:])
    forward_path = parse_forward_path(path)
    notify = original_recipient = None
    for keyword, value in _parameters(rest):
        match keyword:
            case "NOTIFY":
                notify = _parse_notify(value)
            case "ORCPT":
                original_recipient = _parse_original_recipient(value)
            case _:
                raise ParameterUnknown(keyword)
    return Rcpt(forward_path, notify, original_recipient, not argument.isascii())


def _parse_bdat(argument: bytes) -> Bdat:
    found = _CHUNK.fullmatch(argument)
    if found is None:
        raise ChunkSizeUnreadable
    return Bdat(int(found[1]), found[2] is not None)


def _parse_envelope_id(value: str | None) -> str:
    if value is None or len(value) > _ENVELOPE_ID_CHARACTERS:
        raise CommandSyntaxError(f"Syntax: ENVID=<xtext>, at most {_ENVELOPE_ID_CHARACTERS} characters")
    try:
        return decode_xtext(value)
    except ValueError as error:
        raise CommandSyntaxError(f"ENVID: {error}") from None


def _parse_interval(value: str | None) -> timedelta:
    if value is None or not _SECONDS.fullmatch(value):
        raise CommandSyntaxError("Syntax: HOLDFOR=<seconds>, 1 to 999999999")
    return timedelta(seconds=int(value))


def _parse_moment(value: str | None) -> datetime:
    if value is not None and _MOMENT.fullmatch(value.upper()):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):  # there is no such day
            pass
    raise CommandSyntaxError("Syntax: HOLDUNTIL=<date and time in UTC>, 2026-12-24T18:00:00Z")


def _parse_notify(value: str | None) -> Notify:
    """RFC 3461 §4.1: NEVER alone, or any of the others with commas between them."""
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    if any(word not in _NOTIFY for word in words):
        raise CommandSyntaxError("NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY")
    notify = Notify(0)
    for word in words:
        notify |= _NOTIFY[word]
    return notify


def _parse_original_recipient(value: str | None) -> str:
    if value is None or len(value.encode()) > _ORIGINAL_RECIPIENT_OCTETS:
        raise CommandSyntaxError(f"Syntax: ORCPT=<type>;<xtext>, at most {_ORIGINAL_RECIPIENT_OCTETS} octets")
    try:
        return decode_original_recipient(value)
    except ValueError as error:
        raise CommandSyntaxError(f"ORCPT: {error}") from None


def _parameters(rest: bytes) -> list[tuple[str, str | None]]:
    if not rest:
        return []
    if not rest.startswith(b" "):
        raise CommandSyntaxError("A space stands between the path and its parameters")
    parameters: list[tuple[str, str | None]] = []
    for word in rest.decode("utf-8", "replace").split(" "):
        if not word:
            continue
        found = _PARAMETER.fullmatch(word)
        if found is None or "\ufffd" in word:
            raise CommandSyntaxError("A parameter is KEYWORD or KEYWORD=value")
        keyword = found[1].upper()
        if any(keyword == earlier for earlier, _ in parameters):
            raise CommandSyntaxError(f"{keyword} is given twice")
        parameters.append((keyword, found[2]))
    return parameters


def _parse_client(argument: bytes) -> str:
    """Anything: real clients send names with blanks, underscores and brackets, and are let in everywhere
    (RFC 5321 §4.1.4 forbids to refuse mail for it). The trace field writes it safely."""
    name = argument.decode("utf-8", "replace").strip()
    if not name:
        raise CommandSyntaxError("Syntax: the name of the client, or its address in brackets")
    return name[:_CLIENT_NAME_CHARACTERS]


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
    b"BDAT": _parse_bdat,
    b"RSET": _without_argument(Rset()),
    b"QUIT": _without_argument(Quit()),
    b"STARTTLS": _without_argument(StartTls()),
    b"NOOP": _whatever_follows(Noop()),
    b"VRFY": _whatever_follows(Vrfy()),
    b"EXPN": _whatever_follows(Expn()),
    b"HELP": _whatever_follows(Help()),
    b"AUTH": _parse_auth,
}
