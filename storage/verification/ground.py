"""What a verification stands on: the stores it reads, and what it was asked to look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from storage.database import Database
from storage.keys import KeyRing, TenantKeys
from storage.types import Modseq
from storage.verification.blob_copies import PackCopy
from storage.verification.bucket import Bucket
from storage.verification.findings import Report
from storage.verification.pace import Pace
from storage.verification.slices import Slice
from tenants.types import AccountId, TenantId

GRACE_S = 86_400.0
"""What an upload, a collection or a sweep may leave behind for so long before it is told of."""


class Part(StrEnum):
    """What can be looked at, in this order within a tenant."""

    COUNTS = "counts"
    REFERENCES = "references"
    MESSAGES = "messages"
    CONTENT = "content"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class Choice:
    """`since`: only content that was written on that day or later. `repairs_counts`: what can be counted anew is put
    right. `uses_copies`: damaged content is replaced by another copy, if there is one. `rebuilds`: every message is put
    together, too."""

    slice: Slice = field(default_factory=Slice)
    since: date | None = None
    parts: frozenset[Part] = frozenset(Part)
    repairs_counts: bool = True
    uses_copies: bool = False
    rebuilds: bool = False
    grace_s: float = GRACE_S


@dataclass(frozen=True, slots=True)
class Ground:
    """`announce` tells watchers of a change, after its commit. `bucket` None: the installation has no S3."""

    database: Database
    keys: KeyRing
    bucket: Bucket | None
    announce: Callable[[TenantId, AccountId, Modseq], None]
    choice: Choice
    report: Report
    pace: Pace
    replaced: dict[TenantId, Mapping[bytes, PackCopy]] = field(default_factory=dict)
    """What packs that were replaced still hold of a tenant, once somebody asked."""


async def fresh_keys(ground: Ground, tenant_id: TenantId) -> TenantKeys:
    """A tenant's keys as they are now. One that is not among them counts as missing: who finds that content needs such
    a key looks again with fresh ones, for it may have been made since. Raises KeyUnusable, StoreUnavailable."""
    ground.keys.forget(tenant_id)
    return replace(await ground.keys.of(tenant_id), look_again=lambda: False)
