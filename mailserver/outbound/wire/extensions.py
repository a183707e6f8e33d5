"""What a host offers in its reply to EHLO (RFC 5321 §4.1.1.1), as typed facts."""

from dataclasses import dataclass

KEYWORDS_LIMIT = 100  # lines looked at


@dataclass(frozen=True, slots=True)
class Extensions:
    """`size_limit` None: not said, or without limit (RFC 1870 §4). `limits` are RFC 9422's, None where not said."""

    pipelining: bool = False  # RFC 2920
    eight_bit_mime: bool = False  # RFC 6152
    smtputf8: bool = False  # RFC 6531
    dsn: bool = False  # RFC 3461
    starttls: bool = False  # RFC 3207
    size: bool = False  # RFC 1870: MAIL may carry SIZE=
    size_limit: int | None = None
    mechanisms: frozenset[str] = frozenset()  # of AUTH, upper case (RFC 4954)
    recipients_limit: int | None = None
    messages_limit: int | None = None


NONE_OFFERED = Extensions()
"""After HELO."""


def read_extensions(lines: tuple[bytes, ...]) -> Extensions:
    """The lines of the 250, the first of which greets. Whatever cannot be read is not offered."""
    offered: dict[str, list[str]] = {}
    for line in lines[1 : KEYWORDS_LIMIT + 1]:
        # AUTH= is how servers for very old clients write it
        words = line.decode("ascii", "replace").replace("AUTH=", "AUTH ", 1).upper().split()
        if words:
            offered.setdefault(words[0], []).extend(words[1:])
    limits = dict(word.partition("=")[::2] for word in offered.get("LIMITS", []))
    return Extensions(
        pipelining="PIPELINING" in offered,
        eight_bit_mime="8BITMIME" in offered,
        smtputf8="SMTPUTF8" in offered,
        dsn="DSN" in offered,
        starttls="STARTTLS" in offered,
        size="SIZE" in offered,
        size_limit=_number(next(iter(offered.get("SIZE", [])), "")),
        mechanisms=frozenset(offered.get("AUTH", [])),
        recipients_limit=_number(limits.get("RCPTMAX", "")),
        messages_limit=_number(limits.get("MAILMAX", "")),
    )


def _number(text: str) -> int | None:
    """A positive number of sane length; 0 means "no limit" with SIZE."""
    return int(text) or None if text.isascii() and text.isdigit() and len(text) <= 20 else None
