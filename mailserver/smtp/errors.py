"""What the SMTP door itself refuses, named for the fact. `replies.py` says what is answered."""

from datetime import timedelta


class SmtpRefusal(Exception):
    """Anything this door refuses by its own rules; each subclass is one fact."""


class CommandUnknown(SmtpRefusal):
    """No such command on this door."""


class CommandSyntaxError(SmtpRefusal):
    """The command is known and its arguments are not well formed; `reason` is a sentence for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ChunkSizeUnreadable(SmtpRefusal):
    """BDAT without a number: where the next command begins, nobody knows (RFC 3030 §2)."""


class PathInvalid(SmtpRefusal):
    """The argument of MAIL FROM or RCPT TO is no path (RFC 5321 §4.1.2)."""

    def __init__(self, reason: str, *, is_sender: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_sender = is_sender


class SenderNeedsUtf8(SmtpRefusal):
    """MAIL holds octets over 127 and does not say SMTPUTF8 (RFC 6531 §3.5)."""


class RecipientNeedsUtf8(SmtpRefusal):
    """RCPT holds octets over 127 in a transaction without SMTPUTF8 (RFC 6531 §3.5)."""


class ParameterUnknown(SmtpRefusal):
    """A parameter of MAIL or RCPT that this door did not offer (RFC 5321 §4.1.1.11)."""

    def __init__(self, keyword: str) -> None:
        super().__init__(f"{keyword} is not offered here")
        self.keyword = keyword


class HoldTooLong(SmtpRefusal):
    """HOLDFOR or HOLDUNTIL beyond what EHLO said (RFC 4865)."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"at most {limit.days} days")
        self.limit = limit


class MechanismUnknown(SmtpRefusal):
    """A SASL mechanism that was not offered."""


class HeaderTooBig(SmtpRefusal):
    def __init__(self, limit_octets: int) -> None:
        super().__init__(f"the header is over {limit_octets} octets")
        self.limit_octets = limit_octets


class TooManyHops(SmtpRefusal):
    """So many Received fields that the message goes in circles (RFC 5321 §6.3)."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"over {limit} Received fields")
        self.limit = limit
