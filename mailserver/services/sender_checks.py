"""Whether mail comes from who signed in: MAIL FROM, From, Sender, resent forms (RFC 6409 §6.1, RFC 5322 §3.4, §3.6).

Whatever a recipient's program might take for the author must belong to the account. So this reads strictly: what is
not plainly an address list is refused, since another program may read it another way. Display names are text and are
not judged; that they hold an address in quotes, a comment or an encoded word fools nobody here.
"""

import re
from collections.abc import Collection

from mailserver.mime.header_section import fields
from mailserver.services.errors import OriginatorInvalid, SenderNotOwned
from tenants.addresses import may_send_as, parse_address
from tenants.errors import AddressInvalid

_ORIGINATORS = {b"from": "From", b"sender": "Sender", b"resent-from": "Resent-From", b"resent-sender": "Resent-Sender"}
_ONE_MAILBOX = frozenset({b"sender", b"resent-sender"})
_ONCE = frozenset({b"from", b"sender"})

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
      | (?P<quoted>"(?:[^"\\\r\n\0]|\\[^\r\n\0]|\r\n[ \t])*")
      | (?P<literal>\[[^\[\]\\\s\0]*\])
      | (?P<comment>\()
      | (?P<special>[<>:;,@.])
      | (?P<atom>[^ "()<>\[\]:;@\\,.\x00-\x1f\x7f]+)""",
    re.VERBOSE,
)
_WORDS = ("atom", "quoted")

Token = tuple[str, str]


def check_reverse_path(reverse_path: str, addresses: Collection[str]) -> None:
    """The null path passes, because disposition notifications must have it (RFC 8098 §2.1). Raises SenderNotOwned."""
    if reverse_path and not _is_owned(reverse_path, addresses):
        raise SenderNotOwned("MAIL FROM", reverse_path)


def check_originators(header: bytes, addresses: Collection[str]) -> None:
    """`addresses` are the canonical ones of the account. Raises OriginatorInvalid, SenderNotOwned."""
    if header[:1] in (b" ", b"\t"):
        raise OriginatorInvalid("the header begins with a folded line")
    seen = set()
    for name, body in fields(header):
        if name not in _ORIGINATORS:
            continue
        shown = _ORIGINATORS[name]
        if name in seen and name in _ONCE:
            raise OriginatorInvalid(f"there is more than one {shown} field")
        seen.add(name)
        mailboxes = parse_mailboxes(body, field=shown)
        if name in _ONE_MAILBOX and len(mailboxes) != 1:
            raise OriginatorInvalid(f"{shown} holds exactly one address")
        for mailbox in mailboxes:
            if not _is_owned(mailbox, addresses):
                raise SenderNotOwned(shown, mailbox)
    if b"from" not in seen:
        raise OriginatorInvalid("there is no From field")


def parse_mailboxes(body: bytes, *, field: str) -> list[str]:
    """The addr-specs of a mailbox list, groups included, at least one. Raises OriginatorInvalid."""
    mailboxes: list[str] = []
    element: list[Token] = []
    is_in_group = False
    for token in [*_tokens(_text(body), field), ("special", ",")]:
        match token:
            case ("special", ":") if _is_phrase(element) and element and not is_in_group:
                is_in_group = True
                element = []
            case ("special", "," | ";"):
                if token[1] == ";":
                    if not is_in_group:
                        raise _unreadable(field)
                    is_in_group = False
                if element:
                    mailboxes.append(_mailbox(element, field))
                element = []
            case _:
                element.append(token)
    if is_in_group or not mailboxes:
        raise _unreadable(field)
    return mailboxes


def _text(body: bytes) -> str:
    """UTF-8 where it is (RFC 6532 §3.2); what is not still has its structure, and its names are not judged."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _mailbox(element: list[Token], field: str) -> str:
    """`name <local@domain>` or `local@domain`."""
    opening = ("special", "<")
    if opening in element:
        start = element.index(opening)
        if element[-1] != ("special", ">") or not _is_phrase(element[:start]):
            raise _unreadable(field)
        element = element[start + 1 : -1]
    at = ("special", "@")
    if element.count(at) != 1:
        raise _unreadable(field)
    middle = element.index(at)
    local_part, domain = element[:middle], element[middle + 1 :]
    is_literal = len(domain) == 1 and domain[0][0] == "literal"
    if not _is_dotted(local_part, _WORDS) or not (is_literal or _is_dotted(domain, ("atom",))):
        raise _unreadable(field)
    return "".join(text for _, text in element)


def _is_phrase(tokens: list[Token]) -> bool:
    """A display name; dots in it are the obsolete form that everybody writes (`Ann B. Lee <…>`)."""
    return all(kind in _WORDS or text == "." for kind, text in tokens)


def _is_dotted(tokens: list[Token], kinds: tuple[str, ...]) -> bool:
    """Words with one dot between each: `a.b.c`."""
    return len(tokens) % 2 == 1 and all(
        kind in kinds if position % 2 == 0 else text == "." for position, (kind, text) in enumerate(tokens)
    )


def _tokens(text: str, field: str) -> list[Token]:
    """All but blanks and comments (RFC 5322 §3.2)."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise _unreadable(field)
        position = found.end()
        if found.lastgroup == "comment":
            position = _end_of_comment(text, position, field)
        elif found.lastgroup != "blank":
            tokens.append((found.lastgroup, found.group()))
    return tokens


def _end_of_comment(text: str, position: int, field: str) -> int:
    """Comments nest, and a backslash takes the next character's meaning away."""
    depth = 1
    while position < len(text):
        character = text[position]
        position += 2 if character == "\\" else 1
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return position
    raise _unreadable(field)


def _is_owned(text: str, addresses: Collection[str]) -> bool:
    try:
        return may_send_as(parse_address(text), addresses)
    except AddressInvalid:
        return False


def _unreadable(field: str) -> OriginatorInvalid:
    return OriginatorInvalid(f"{field} cannot be read as a list of addresses")
