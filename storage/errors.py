"""Refusals of the mail store, named for the fact. They know no status codes; each door has its own table."""


class StorageError(Exception):
    """Anything the mail store refuses or cannot do now; each subclass is one fact."""


class MailboxNotFound(StorageError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no mailbox {name!r}")
        self.name = name


class MailboxExists(StorageError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is already a mailbox {name!r}")
        self.name = name


class MailboxNotSelectable(StorageError):
    """The name only holds other mailboxes (\\Noselect, RFC 3501 §7.2.2)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} holds only other mailboxes")
        self.name = name


class MailboxHasChildren(StorageError):
    """A \\Noselect name with inferiors cannot be deleted (RFC 3501 §6.3.4)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} still holds other mailboxes")
        self.name = name


class MailboxNameInvalid(StorageError):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} cannot be a mailbox name: {reason}")
        self.name = name
        self.reason = reason


class SpecialUseRefused(StorageError):
    """A mailbox cannot have this special use: there is none such here, or another mailbox has it (RFC 6154 §3)."""

    def __init__(self, use: str, reason: str) -> None:
        super().__init__(f"no mailbox can be made for {use}: {reason}")
        self.use = use
        self.reason = reason


class InboxProtected(StorageError):
    """INBOX can be neither deleted nor made anew (RFC 3501 §6.3.3, §6.3.4)."""

    def __init__(self) -> None:
        super().__init__("INBOX cannot be deleted")


class OverQuota(StorageError):
    def __init__(self, used_octets: int, limit_octets: int) -> None:
        super().__init__(f"{used_octets} of {limit_octets} octets are used")
        self.used_octets = used_octets
        self.limit_octets = limit_octets


class TooManyMailboxes(StorageError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"an account has at most {limit} mailboxes")
        self.limit = limit


class TooManyKeywords(StorageError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"a message has at most {limit} keywords")
        self.limit = limit


class SendingLimitReached(StorageError):
    """A person (or the whole tenant) has sent to as many recipients elsewhere as they may in this time."""

    def __init__(self, limit_recipients: int, hours: int, *, is_tenants: bool) -> None:
        whose = "the tenant" if is_tenants else "one person"
        super().__init__(f"{whose} may send to {limit_recipients} recipients elsewhere in {hours} hours")
        self.limit_recipients = limit_recipients
        self.hours = hours
        self.is_tenants = is_tenants


class StoreUnavailable(StorageError):
    """Postgres cannot be reached or gave up the work, and trying again later is right.

    Nothing was written, unless the connection broke during the commit itself: then nobody knows.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the mail store is not available now: {reason}")
        self.reason = reason


class KeyUnusable(StorageError):
    """A key is missing, has the wrong form, or does not unwrap what it should; so of a tenant that was shredded."""


class MasterKeyMissing(KeyUnusable):
    """There is no master key yet; `manage.py keys init` makes it once."""


class ContentDamaged(StorageError):
    """Stored octets do not match their digest or cannot be opened with the tenant's key."""

    def __init__(self, what: str) -> None:
        super().__init__(f"stored content is damaged: {what}")
        self.what = what


class ObjectMissing(ContentDamaged):
    """An object that a row names is not in the bucket."""

    def __init__(self, name: str) -> None:
        super().__init__(f"object {name} is missing")
        self.name = name


class ColdTierUnavailable(StorageError):
    """Content rests in S3, which cannot be reached now, is too slow, or refuses; trying again later is right."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stored content is out of reach now: {reason}")
        self.reason = reason


class MessageGone(StorageError):
    """The message was expunged meanwhile."""

    def __init__(self, message_id: int) -> None:
        super().__init__("the message is no longer there")
        self.message_id = message_id
