"""What services are handed: the mail store of this process."""

from collections.abc import Callable
from dataclasses import dataclass

from storage.blobs.hot import HotBlobs
from storage.database import Database
from storage.keys import KeyRing
from storage.types import Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class MailStore:
    """`announce` tells watchers that an account reached a modseq; it never blocks or raises, and comes after commit."""

    database: Database
    keys: KeyRing
    blobs: HotBlobs
    announce: Callable[[TenantId, AccountId, Modseq], None]
