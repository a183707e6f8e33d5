"""What services are handed: the mail store of this process."""

from collections.abc import Callable
from dataclasses import dataclass, field

from storage.appending import Appended, AppendRequest
from storage.blobs.tiered import TieredBlobs
from storage.database import Database
from storage.errors import StorageError
from storage.flags import FlagRequest, StoredFlags
from storage.group_commit import GroupCommit
from storage.joining import Joined
from storage.keeping import Keepings
from storage.keys import KeyRing
from storage.parts.homes import PartStore
from storage.placing import Order
from storage.pools import Pools
from storage.types import Modseq, Placed
from tenants.types import AccountId, TenantId

COMPANY_S = 0.005  # how long a transaction waits for as many as the last one had


class Joins:
    """The writes of this process that wait for others."""

    def __init__(self) -> None:
        self.placing: GroupCommit[Order, Placed | StorageError] = GroupCommit(company_s=COMPANY_S)
        self.placing_large: Joined[Order, Placed | StorageError] = Joined()
        self.appends: GroupCommit[AppendRequest, Appended | StorageError] = GroupCommit(company_s=COMPANY_S)
        self.appends_large: Joined[AppendRequest, Appended | StorageError] = Joined()
        self.flags: Joined[FlagRequest, list[StoredFlags]] = Joined()


@dataclass(frozen=True, slots=True)
class MailStore:
    """`announce` tells watchers that an account reached a modseq; it never blocks or raises, and comes after commit.

    `parts` None: there is no S3, and large parts rest in Postgres as all content does.
    """

    database: Database
    keys: KeyRing
    blobs: TieredBlobs
    announce: Callable[[TenantId, AccountId, Modseq], None]
    joins: Joins = field(default_factory=Joins)
    keepings: Keepings = field(default_factory=Keepings)
    pools: Pools = field(default_factory=Pools)
    parts: PartStore | None = None
