"""LIST unasked: of the mailbox that is opened, and of one that a client calls by another spelling than the server's
(OLDNAME, RFC 9051 §6.3.2, §6.3.9.7)."""

from collections.abc import Iterator

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.listing import special_uses
from mailserver.imap.wire.responses import Listed, MailboxAttribute
from mailserver.services.mailboxes import canonical_name
from storage.types import Mailbox


def opened(given: str, mailbox: Mailbox) -> Listed:
    """What SELECT and EXAMINE tell of the mailbox."""
    old_name = given if given != mailbox.name else None
    return Listed(mailbox.name, tuple(special_uses(mailbox)), old_name=old_name)


def respelt(talk: Conversation, given: str, *attributes: MailboxAttribute, name: str | None = None) -> Iterator[Listed]:
    """LIST with OLDNAME if `given` is not how the server spells it, or not `name`; to clients of IMAP4rev2 only."""
    is_called = canonical_name(given) if name is None else name
    if talk.is_rev2 and given.removesuffix("/") != is_called:
        yield Listed(is_called, attributes, old_name=given)
