"""Response codes (RFC 3501 §7.1, RFC 4315, RFC 5530, RFC 7162, RFC 7888): what a program reads in a status response."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from storage.types import Flags, Modseq, Uid, UidValidity


class Code(Enum):
    """The codes without arguments that there is an occasion for; the value is the word on the wire."""

    ALERT = b"ALERT"
    READ_ONLY = b"READ-ONLY"
    READ_WRITE = b"READ-WRITE"
    TRYCREATE = b"TRYCREATE"
    CLOSED = b"CLOSED"
    TOOBIG = b"TOOBIG"
    UNAVAILABLE = b"UNAVAILABLE"
    AUTHENTICATIONFAILED = b"AUTHENTICATIONFAILED"
    AUTHORIZATIONFAILED = b"AUTHORIZATIONFAILED"
    PRIVACYREQUIRED = b"PRIVACYREQUIRED"
    CONTACTADMIN = b"CONTACTADMIN"
    NOPERM = b"NOPERM"
    EXPUNGEISSUED = b"EXPUNGEISSUED"
    UNKNOWN_CTE = b"UNKNOWN-CTE"
    CORRUPTION = b"CORRUPTION"
    SERVERBUG = b"SERVERBUG"
    CANNOT = b"CANNOT"
    LIMIT = b"LIMIT"
    OVERQUOTA = b"OVERQUOTA"
    ALREADYEXISTS = b"ALREADYEXISTS"
    NONEXISTENT = b"NONEXISTENT"
    HASCHILDREN = b"HASCHILDREN"
    USEATTR = b"USEATTR"
    COMPRESSIONACTIVE = b"COMPRESSIONACTIVE"


@dataclass(frozen=True, slots=True)
class BadCharset:
    charsets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CapabilityCode:
    """Capabilities in the greeting or after signing in, which spares the client a command."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PermanentFlags:
    """PERMANENTFLAGS; `can_create` adds `\\*`: the client may make keywords."""

    flags: Flags
    can_create: bool = False


@dataclass(frozen=True, slots=True)
class UidNext:
    uid: Uid


@dataclass(frozen=True, slots=True)
class UidValidityCode:
    uidvalidity: UidValidity


@dataclass(frozen=True, slots=True)
class Unseen:
    """UNSEEN: the sequence number of the first unseen message."""

    number: int


@dataclass(frozen=True, slots=True)
class HighestModseq:
    modseq: Modseq


@dataclass(frozen=True, slots=True)
class Modified:
    """MODIFIED (RFC 7162 §3.1.3): uids after UID STORE, sequence numbers after STORE; ascending."""

    numbers: Sequence[int]


@dataclass(frozen=True, slots=True)
class AppendUids:
    """APPENDUID (RFC 4315 §3, RFC 3502): the uids of the messages, ascending."""

    uidvalidity: UidValidity
    uids: Sequence[Uid]


@dataclass(frozen=True, slots=True)
class CopyUid:
    """COPYUID (RFC 4315 §3): `sources[i]` became `targets[i]`. Never empty."""

    uidvalidity: UidValidity
    sources: Sequence[Uid]
    targets: Sequence[Uid]


@dataclass(frozen=True, slots=True)
class MailboxIdCode:
    """MAILBOXID (RFC 8474 §4)."""

    object_id: bytes


ResponseCode = (
    Code
    | BadCharset
    | CapabilityCode
    | PermanentFlags
    | UidNext
    | UidValidityCode
    | Unseen
    | HighestModseq
    | Modified
    | AppendUids
    | CopyUid
    | MailboxIdCode
)
