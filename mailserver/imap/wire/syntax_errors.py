"""Refusals of the parser. The message of each is English for the client; none holds a password."""

from mailserver.imap.wire.commands import Tag


class CommandSyntaxError(Exception):
    """The octets are no command of ours: a tagged BAD, or an untagged one if no tag could be read."""

    def __init__(self, tag: Tag | None, reason: str) -> None:
        super().__init__(reason)
        self.tag = tag
        self.reason = reason


class UnknownCommand(CommandSyntaxError):
    def __init__(self, tag: Tag, name: str) -> None:
        super().__init__(tag, f"unknown command {name}")
        self.name = name


class MailboxNameImpossible(CommandSyntaxError):
    """No mailbox can have this name: NO [CANNOT] (RFC 5530 §3), as the command itself is well formed."""


class UnsupportedCharset(CommandSyntaxError):
    """SEARCH in a charset that is not ours: NO [BADCHARSET] with those that are (RFC 3501 §6.4.4).

    `saves`: its result was to be saved, so that nothing is saved now (RFC 5182 §2.1).
    """

    def __init__(self, tag: Tag | None, charset: str, *, saves: bool = False) -> None:
        super().__init__(tag, f"search texts in {charset} are not understood")
        self.charset = charset
        self.saves = saves


SEARCH_CHARSETS = ("US-ASCII", "UTF-8")
