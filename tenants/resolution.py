"""What the edges behind an address come to: whom mail reaches here, and which addresses elsewhere (pure).

`directory_recipient_v2` gives a graph: the address that was asked, and behind groups and forwardings every address they
name, each once. The rules:

* Whoever cannot be reached now (unknown, suspended) is left out of a group, and passed over in a forwarding.
* Who passes mail on without keeping a copy keeps it all the same when nobody behind is reached: a target that is
  gone, or a circle of people who forward to each other, loses no mail.
* A group that takes not everybody's mail is reached through a group of its own tenant, whose rule holds then; not
  through a person's forwarding or another tenant's group, which would be ways around its rule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tenants.errors import AccountSuspended, DomainNotLocal, RecipientUnknown, TenantSuspended
from tenants.types import (
    AccountId,
    Address,
    Forward,
    Posting,
    Recipient,
    Resolution,
    Status,
    TenantId,
    WhoMaySend,
)


@dataclass(frozen=True, slots=True)
class Edge:
    """One row of `directory_recipient_v2`: from an account's forwarding or a group to what an address stands for.

    The address that was asked has no source. A `domain_status` of None: the domain is not ours. Without account and
    group: nobody here has the address.
    """

    source_account_id: int | None
    source_group_id: int | None
    written: str | None
    asked_local_part: str
    asked_domain: str
    local_part: str
    domain: str | None
    tenant_id: int | None
    tenant_status: str | None
    domain_status: str | None
    account_id: int | None
    account_status: str | None
    quota_octets: int | None
    language: str | None
    time_zone: str | None
    keeps_copy: bool | None
    is_forwarding: bool
    group_id: int | None
    group_address: str | None
    group_owner: str | None
    who_may_send: str | None


def judge(asked: Address, edges: Sequence[Edge], *, detail: str) -> Resolution:
    """`asked` is for the refusals. Raises DomainNotLocal, RecipientUnknown, TenantSuspended, AccountSuspended."""
    if not edges or _is_elsewhere(edges[0]):
        raise DomainNotLocal(asked.domain)
    first = edges[0]
    if (first.account_id is None and first.group_id is None) or first.account_status == Status.DELETED:
        raise RecipientUnknown(str(asked))
    if Status.SUSPENDED in (first.tenant_status, first.domain_status):
        raise TenantSuspended(str(asked))
    if first.account_status == Status.SUSPENDED:
        raise AccountSuspended(str(asked))
    assert first.tenant_id is not None
    if first.group_id is None and not first.is_forwarding:
        return Resolution(TenantId(first.tenant_id), (_recipient(first, detail, None),))
    found = _Graph(edges).resolve(first, detail)
    if not found.recipients and not found.elsewhere:
        raise RecipientUnknown(str(asked))
    return found


@dataclass(frozen=True, slots=True)
class _Group:
    address: str | None
    owner: str


class _Graph:
    def __init__(self, edges: Sequence[Edge]) -> None:
        self._of_account: dict[int, list[Edge]] = {}
        self._of_group: dict[int, list[Edge]] = {}
        tenants = {edge.group_id: edge.tenant_id for edge in edges if edge.group_id is not None}
        for edge in edges[1:]:
            if edge.source_group_id is not None:
                if _may_pass(edge, tenants.get(edge.source_group_id)):
                    self._of_group.setdefault(edge.source_group_id, []).append(edge)
            elif edge.source_account_id is not None and _may_pass(edge, None):
                self._of_account.setdefault(edge.source_account_id, []).append(edge)
        self._losing = self._accounts_that_would_lose(edges)

    def resolve(self, first: Edge, detail: str) -> Resolution:
        assert first.tenant_id is not None
        recipients: dict[int, Recipient] = {}
        elsewhere: dict[str, Forward] = {}
        seen: set[tuple[str, int]] = set()
        waiting: list[tuple[Edge, str, Recipient | None, _Group | None]] = [(first, detail, None, None)]
        for edge, with_detail, through, group in waiting:  # grows while it is read
            if _is_elsewhere(edge):
                address = edge.written or f"{edge.asked_local_part}@{edge.asked_domain}"
                key = f"{edge.asked_local_part}@{edge.asked_domain}"
                if key not in elsewhere:
                    by_group = group or _Group(None, "")
                    elsewhere[key] = Forward(address, through, by_group.address, by_group.owner)
            elif edge.group_id is not None and ("group", edge.group_id) not in seen:
                seen.add(("group", edge.group_id))
                inner = _Group(edge.group_address, edge.group_owner or "")
                waiting += [(m, _detail(m), None, inner) for m in self._of_group.get(edge.group_id, ())]
            elif edge.account_id is not None and ("account", edge.account_id) not in seen:
                seen.add(("account", edge.account_id))
                person = _recipient(edge, with_detail, group.address if group else None)
                if not edge.is_forwarding or edge.keeps_copy or edge.account_id in self._losing:
                    recipients[edge.account_id] = person
                waiting += [(t, _detail(t), person, group) for t in self._of_account.get(edge.account_id, ())]
        return Resolution(
            TenantId(first.tenant_id), tuple(recipients.values()), tuple(elsewhere.values()), self._posting(first)
        )

    def _posting(self, first: Edge) -> Posting | None:
        if first.group_id is None or first.who_may_send in (None, WhoMaySend.ANYONE):
            return None
        assert first.tenant_id is not None
        members = frozenset(AccountId(each) for each in self._members(first.group_id, set()))
        return Posting(WhoMaySend(first.who_may_send), TenantId(first.tenant_id), members)

    def _members(self, group_id: int, seen: set[int]) -> Iterator[int]:
        seen.add(group_id)
        for edge in self._of_group.get(group_id, ()):
            if edge.account_id is not None:
                yield edge.account_id
            elif edge.group_id is not None and edge.group_id not in seen:
                yield from self._members(edge.group_id, seen)

    def _accounts_that_would_lose(self, edges: Sequence[Edge]) -> set[int]:
        """Those that keep no copy and behind whom nobody is reached."""
        keeping = {e.account_id for e in edges if e.account_id is not None and (e.keeps_copy or not e.is_forwarding)}
        reaching: set[tuple[str, int | None]] = {("account", each) for each in keeping}
        unsure = [("account", key, targets) for key, targets in self._of_account.items() if key not in keeping]
        unsure += [("group", key, targets) for key, targets in self._of_group.items()]
        while True:
            found = {
                (kind, key)
                for kind, key, targets in unsure
                if (kind, key) not in reaching and any(_reaches(target, reaching) for target in targets)
            }
            if not found:
                break
            reaching |= found
        return {
            edge.account_id
            for edge in edges
            if edge.account_id is not None and ("account", edge.account_id) not in reaching
        }


def _may_pass(edge: Edge, group_of_tenant: int | None) -> bool:
    """Whether the edge leads anywhere; `group_of_tenant` is the tenant of the group that names it, if one does."""
    if _is_elsewhere(edge):
        return True
    if edge.tenant_status != Status.ACTIVE or edge.domain_status != Status.ACTIVE:
        return False
    if edge.group_id is not None:
        return edge.who_may_send == WhoMaySend.ANYONE or edge.tenant_id == group_of_tenant
    return edge.account_id is not None and edge.account_status == Status.ACTIVE


def _reaches(edge: Edge, reaching: set[tuple[str, int | None]]) -> bool:
    return (
        _is_elsewhere(edge)
        or (edge.account_id is not None and ("account", edge.account_id) in reaching)
        or (edge.group_id is not None and ("group", edge.group_id) in reaching)
    )


def _is_elsewhere(edge: Edge) -> bool:
    """A domain that was deleted is not ours any more; whoever has it now gets its mail."""
    return edge.domain_status is None or Status.DELETED in (edge.domain_status, edge.tenant_status)


def _detail(edge: Edge) -> str:
    return edge.asked_local_part[len(edge.local_part) + 1 :]


def _recipient(edge: Edge, detail: str, group: str | None) -> Recipient:
    assert edge.tenant_id is not None
    assert edge.account_id is not None
    return Recipient(
        tenant_id=TenantId(edge.tenant_id),
        account_id=AccountId(edge.account_id),
        address=Address(edge.local_part, edge.domain or edge.asked_domain),
        detail=detail,
        quota_octets=edge.quota_octets,
        language=edge.language or "en",
        time_zone=edge.time_zone or "UTC",
        group=group,
    )
