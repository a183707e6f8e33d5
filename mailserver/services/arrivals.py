"""Arrivals: a message becomes copies here and queued mail for elsewhere, durable before anyone says 250.

The order, and what a crash leaves (docs/message-flow.md):

1. What goes to other systems is queued, leased so that it does not leave yet.
2. Copies are placed here. If that is refused, what was queued is taken back, and nobody has the message.
3. What was queued is let go, and senders are told what they asked to be told. Then the answer.

A process that ends between 1 and 3 leaves queued mail that leaves when its lease runs out, though the sender was never
told 250 and sends again: twice is better than never.
"""

import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailserver.dsn.facts import Action, RecipientReport
from mailserver.observability.logs import get_logger
from mailserver.services.addresses import Recipients
from mailserver.services.delivery import Deliveries
from mailserver.services.errors import ForwardingLoop, OnlyReturns
from mailserver.services.forwarding import (
    Outgoing,
    is_list,
    looping,
    own_outgoing,
    passed_on,
    passed_on_before,
    with_field,
)
from mailserver.services.incoming import IncomingMail
from mailserver.services.queueing import Queueing
from mailserver.services.returns import Report, Writer, wants
from mailserver.srs import NotOurs, is_rewritten, restore
from storage.database import Database
from storage.errors import OverQuota, SendingLimitReached, StorageError, StoreUnavailable
from storage.events import tell_of_dropped_report
from storage.outgoing_types import Notify, OutgoingId
from storage.placing import AlreadyPlaced
from storage.types import InboundId, Placed
from tenants.errors import DomainNotLocal, TenantsError
from tenants.types import AccountId, Forward, Principal, Recipient, Resolution, TenantId

PLACING_S = 360.0  # longer than a door waits for a message to be stored


@dataclass(frozen=True, slots=True)
class Queued:
    """It goes to another system, and this is what the queue calls it."""

    outgoing_id: OutgoingId


Outcome = Placed | Queued | Exception | None
Settle = Callable[[Sequence[Outgoing], Sequence[Placed | Exception | None]], Awaitable[None]]
AfterDelivery = Callable[[IncomingMail, Sequence[Recipient]], None]
Key = tuple[TenantId, AccountId]
_Told = defaultdict[TenantId, list[RecipientReport]]

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Copies:
    """Who gets a copy here, each once. `named` were addressed themselves; the others through a group, or they pass
    mail on as well: their refusal is told in a report, not in the answer."""

    named: dict[Key, Recipient]
    others: dict[Key, Recipient]


class Arrivals:
    """One per process. The first of the `signing_keys` signs reverse paths of mail that is passed on, any may have.

    `after_delivery` hears who has a message, after the commit and before the answer: it neither waits nor raises.
    """

    def __init__(
        self,
        database: Database,
        recipients: Recipients,
        deliveries: Deliveries,
        queueing: Queueing,
        writer: Writer,
        *,
        signing_keys: Callable[[], Sequence[bytes]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        after_delivery: AfterDelivery = lambda _mail, _people: None,
    ) -> None:
        self._after_delivery = after_delivery
        self._database = database
        self._recipients = recipients
        self._deliveries = deliveries
        self._queueing = queueing
        self._writer = writer
        self._signing_keys = signing_keys
        self._clock = clock

    async def resolve(self, address: str, *, reverse_path: str, sender: Principal | None = None) -> Resolution | None:
        """What mail to the address reaches; None for an address of another system, if somebody who signed in asks.

        Raises as `Recipients.resolve`, and OnlyReturns.
        """
        if is_rewritten(address) and (returning := await self._returning(address, reverse_path)) is not None:
            return returning
        try:
            return await self._recipients.resolve(address, sender=sender)
        except DomainNotLocal:
            if sender is None:
                raise
            return None

    async def take(self, mail: IncomingMail) -> Sequence[Outcome]:
        """One answer for all addressees, as after DATA; outcomes in their order, exceptions are refusals.

        Raises StoreUnavailable: then the message was not accepted.
        """
        if (only := _only_person(mail)) is not None:
            outcomes: Sequence[Outcome] = await self._deliveries.deliver(
                mail.octets, [only], reverse_path=mail.reverse_path, received_at=mail.received_at
            )
            if not isinstance(outcomes[0], Exception):
                self._after_delivery(mail, [only])
            await self._tell_of_success(mail, outcomes)
            return outcomes
        return await self._take(mail, is_each_answered=False)

    async def take_each(self, mail: IncomingMail) -> Sequence[Outcome]:
        """The same with an answer for each addressee, as in LMTP (RFC 2033 §4.2)."""
        if _only_person(mail) is not None:
            return await self.take(mail)
        return await self._take(mail, is_each_answered=True)

    async def take_once(self, mail: IncomingMail, once: InboundId, settle: Settle) -> Sequence[Outcome]:
        """Mail that waited here for its time: whoever was killed on the way, each has it once.

        Copies are placed first, under the id, which a replay finds; then `settle` queues what goes to other systems and
        writes down that it is done, in one transaction. Nobody waits for an answer: of whom it did not reach, the
        sender gets a report. Raises StoreUnavailable and the like, and what `settle` raises: it is to be done again.
        """
        before = passed_on_before(mail)
        loops = looping(mail, before)
        outgoing = [*own_outgoing(mail), *await self._passed_on(mail, before)]
        copies = _copies(mail, loops)
        everybody = {**copies.named, **copies.others}
        placed = await self._place_once(mail, everybody, once)
        outcomes = _outcomes(mail, loops, placed)
        await settle(outgoing, outcomes)
        self._hear(mail, everybody, placed)
        await self._tell_of_success(mail, outcomes)
        await self._tell_of_failures(mail, loops, placed)
        return outcomes

    async def _place_once(
        self, mail: IncomingMail, people: dict[Key, Recipient], once: InboundId
    ) -> dict[Key, Placed | StorageError | None]:
        if not people:
            return {}
        results = await self._deliveries.deliver_each(
            mail.octets,
            list(people.values()),
            reverse_path=mail.reverse_path,
            received_at=self._clock(),
            once=once,
        )
        for result in results:
            if isinstance(result, StorageError) and not isinstance(result, (AlreadyPlaced, OverQuota)):
                raise result
        return dict(zip(people, (None if isinstance(each, AlreadyPlaced) else each for each in results), strict=True))

    async def report(self, report: Report) -> bool:
        """Tell the sender. False if there is nobody to tell, or the notification itself cannot be delivered.

        Raises StoreUnavailable.
        """
        if not report.reverse_path:
            log.info("nobody to tell of a message", queue_id=report.queue_id, recipients=len(report.recipients))
            return False
        try:
            resolution = await self.resolve(report.reverse_path, reverse_path="")
        except DomainNotLocal:
            resolution = None
        except (TenantsError, OverQuota) as error:
            return await self._drop(report, error)
        (outcome,) = await self._take(self._writer.write(report, resolution), is_each_answered=False)
        return True if not isinstance(outcome, Exception) else await self._drop(report, outcome)

    async def _drop(self, report: Report, error: Exception) -> bool:
        reason = type(error).__name__
        log.warning("a notification was dropped", reason=reason, queue_id=report.queue_id)
        await tell_of_dropped_report(self._database, report.tenant_id, report.reverse_path, reason)
        return False

    # -- the general case

    async def _take(self, mail: IncomingMail, *, is_each_answered: bool) -> Sequence[Outcome]:
        before = passed_on_before(mail)
        loops = looping(mail, before)
        if len(loops) == len(mail.addressees):
            return [ForwardingLoop() for _ in loops]
        outgoing = [*own_outgoing(mail), *await self._passed_on(mail, before)]
        copies = _copies(mail, loops)
        if len(outgoing) == 1 and not copies.named and not copies.others:
            return await self._queue_only(mail, loops, outgoing[0])
        try:
            queued = await self._queue(mail, outgoing)
        except SendingLimitReached as refusal:
            return [refusal] * len(mail.addressees)
        try:
            placed = await self._place(mail, copies, is_each_answered=is_each_answered)
        except BaseException:
            await self._take_back(outgoing, queued)
            raise
        outcomes = _outcomes(mail, loops, placed)
        refused = any(isinstance(placed[key], StorageError) for key in copies.named)
        if refused and not is_each_answered:
            await self._take_back(outgoing, queued)
            return outcomes
        self._hear(mail, {**copies.named, **copies.others}, placed)
        await self._let_go(outgoing, queued)
        await self._tell_of_success(mail, outcomes)
        untold = frozenset() if is_each_answered else loops
        await self._tell_of_failures(mail, untold, {key: placed[key] for key in copies.others})
        told = [None if index in untold else outcome for index, outcome in enumerate(outcomes)]
        return _with_queued(mail, told, queued)

    def _hear(
        self, mail: IncomingMail, people: dict[Key, Recipient], placed: dict[Key, Placed | StorageError | None]
    ) -> None:
        having = [person for key, person in people.items() if not isinstance(placed[key], Exception)]
        if having:
            self._after_delivery(mail, having)

    async def _queue_only(self, mail: IncomingMail, loops: frozenset[int], outgoing: Outgoing) -> Sequence[Outcome]:
        """Nothing is placed here: one commit is enough."""
        octets = with_field(outgoing.added, mail.octets)
        try:
            queued = await self._queueing.enqueue(
                outgoing.submitter, outgoing.envelope, octets, received_at=mail.received_at
            )
        except SendingLimitReached as refusal:
            return [refusal] * len(mail.addressees)
        outcomes = _outcomes(mail, loops, {})
        await self._tell_of_success(mail, outcomes)
        return _with_queued(mail, outcomes, [queued])

    async def _passed_on(self, mail: IncomingMail, before: frozenset[bytes]) -> list[Outgoing]:
        if not any(each.resolution is not None and each.resolution.elsewhere for each in mail.addressees):
            return []
        return list(
            passed_on(
                mail,
                before=before,
                is_author_local=await self._is_ours(mail.reverse_path),
                secret=self._signing_keys()[0],
                now=self._clock(),
            )
        )

    async def _queue(self, mail: IncomingMail, outgoing: Sequence[Outgoing]) -> list[OutgoingId]:
        """All of it or none: what was queued before a refusal is taken back."""
        queued: list[OutgoingId] = []
        try:
            for each in outgoing:
                octets = with_field(each.added, mail.octets)
                outgoing_id = await self._queueing.enqueue_leased(
                    each.submitter, each.envelope, octets, received_at=mail.received_at, lease_s=PLACING_S
                )
                queued.append(outgoing_id)
        except BaseException:
            await self._take_back(outgoing, queued)
            raise
        return queued

    async def _take_back(self, outgoing: Sequence[Outgoing], queued: Sequence[OutgoingId]) -> None:
        for each, outgoing_id in zip(outgoing, queued, strict=False):
            try:
                await self._queueing.withdraw(each.submitter, outgoing_id)
            except StoreUnavailable:
                log.error("a refused message could not be taken back and leaves", outgoing=outgoing_id)

    async def _let_go(self, outgoing: Sequence[Outgoing], queued: Sequence[OutgoingId]) -> None:
        for each, outgoing_id in zip(outgoing, queued, strict=True):
            try:
                await self._queueing.let_go(each.submitter, each.envelope, outgoing_id)
            except StoreUnavailable:
                log.warning("what was queued leaves only when its lease ends", outgoing=outgoing_id)

    async def _place(
        self, mail: IncomingMail, copies: _Copies, *, is_each_answered: bool
    ) -> dict[Key, Placed | StorageError | None]:
        named, others = list(copies.named.values()), list(copies.others.values())
        if not named and not others:
            return {}
        if is_each_answered:
            results: Sequence[Placed | StorageError | None] = await self._deliveries.deliver_each(
                mail.octets, [*named, *others], reverse_path=mail.reverse_path, received_at=mail.received_at
            )
        else:
            results = await self._deliveries.deliver(
                mail.octets, named, others, reverse_path=mail.reverse_path, received_at=mail.received_at
            )
        return dict(zip([*copies.named, *copies.others], results, strict=True))

    # -- telling

    async def _tell_of_success(self, mail: IncomingMail, outcomes: Sequence[Outcome]) -> None:
        """RFC 3461 §5.2.3, §5.2.7. What goes on alone to one address elsewhere is told of from there."""
        told: _Told = defaultdict(list)
        for each, outcome in zip(mail.addressees, outcomes, strict=True):
            if each.notify is None or not each.notify & Notify.SUCCESS or isinstance(outcome, Exception):
                continue
            if each.resolution is not None and (action := _success(each.resolution)) is not None:
                told[each.resolution.tenant_id].append(
                    RecipientReport(each.path, action, "2.1.5", original=each.original_recipient)
                )
        await self._tell(mail, told)

    async def _tell_of_failures(
        self, mail: IncomingMail, loops: frozenset[int], others: dict[Key, Placed | StorageError | None]
    ) -> None:
        """Of what was accepted for a group and its member cannot take, and of circles beside others who got it."""
        told: _Told = defaultdict(list)
        refused = {key: outcome for key, outcome in others.items() if isinstance(outcome, StorageError)}
        for index, addressee in enumerate(mail.addressees):
            resolution = addressee.resolution
            if resolution is None or not wants(addressee.notify, Notify.FAILURE):
                continue
            original = addressee.original_recipient
            if index in loops:
                told[resolution.tenant_id].append(
                    RecipientReport(addressee.path, Action.FAILED, "5.4.6", original=original)
                )
            for person in resolution.recipients:
                refusal = refused.pop((person.tenant_id, person.account_id), None)
                if refusal is not None:
                    status = "5.2.2" if isinstance(refusal, OverQuota) else "5.3.0"
                    told[resolution.tenant_id].append(
                        RecipientReport(str(person.address), Action.FAILED, status, original)
                    )
        await self._tell(mail, told)

    async def _tell(self, mail: IncomingMail, told: _Told) -> None:
        """A report for each tenant that was written to: none learns of what another one's people got."""
        for tenant_id, recipients in told.items():
            report = Report(
                tenant_id,
                mail.reverse_path,
                tuple(recipients),
                mail.octets,
                mail.received_at,
                received_from=mail.received_from,
                envelope_id=mail.envelope_id,
                return_content=mail.return_content,
                queue_id=mail.trace_id,
                future_release=mail.future_release,
            )
            try:
                await self.report(report)
            except StorageError as error:
                log.error("a notification was lost", reason=type(error).__name__, queue_id=mail.trace_id)

    # -- addresses

    async def _returning(self, address: str, reverse_path: str) -> Resolution | None:
        """A bounce of mail that was passed on: it goes on to the author. None if the address is not ours after all."""
        try:
            author = self._author(address)
            tenant_id = await self._recipients.tenant_of(address.rpartition("@")[2])
        except (NotOurs, DomainNotLocal):
            return None
        if reverse_path:
            raise OnlyReturns(address)
        try:
            return await self._recipients.resolve(author)
        except DomainNotLocal:
            return Resolution(tenant_id, (), (Forward(author, None),))

    def _author(self, address: str) -> str:
        """Raises NotOurs."""
        for secret in self._signing_keys():
            with contextlib.suppress(NotOurs):
                return restore(address, secret=secret, now=self._clock())
        raise NotOurs("none of our keys signed it lately")

    async def _is_ours(self, address: str) -> bool:
        if not address:
            return True
        try:
            await self._recipients.tenant_of(address.rpartition("@")[2])
        except DomainNotLocal:
            return False
        return True


def _only_person(mail: IncomingMail) -> Recipient | None:
    """Most mail: one address, which is one person's."""
    if len(mail.addressees) != 1:
        return None
    resolution = mail.addressees[0].resolution
    if resolution is None or resolution.elsewhere or len(resolution.recipients) != 1:
        return None
    return resolution.recipients[0]


def _copies(mail: IncomingMail, loops: frozenset[int]) -> _Copies:
    named: dict[Key, Recipient] = {}
    others: dict[Key, Recipient] = {}
    for index, addressee in enumerate(mail.addressees):
        resolution = addressee.resolution
        if resolution is None or index in loops:
            continue
        is_named = not resolution.elsewhere and len(resolution.recipients) == 1 and not resolution.recipients[0].group
        for person in resolution.recipients:
            (named if is_named else others).setdefault((person.tenant_id, person.account_id), person)
    return _Copies(named, {key: person for key, person in others.items() if key not in named})


def _with_queued(
    mail: IncomingMail, outcomes: Sequence[Placed | Exception | None], queued: Sequence[OutgoingId]
) -> list[Outcome]:
    """What somebody who signed in sends to other systems was queued before all else (`own_outgoing`)."""
    return [
        Queued(queued[0]) if outcome is None and each.resolution is None else outcome
        for each, outcome in zip(mail.addressees, outcomes, strict=True)
    ]


def _outcomes(
    mail: IncomingMail, loops: frozenset[int], placed: dict[Key, Placed | StorageError | None]
) -> list[Placed | Exception | None]:
    """Of a group, and of who passes mail on, acceptance is all that is answered."""
    outcomes: list[Placed | Exception | None] = []
    for index, addressee in enumerate(mail.addressees):
        resolution = addressee.resolution
        if index in loops:
            outcomes.append(ForwardingLoop())
            continue
        is_named = resolution is not None and not resolution.elsewhere and len(resolution.recipients) == 1
        if not is_named or resolution is None or resolution.recipients[0].group:
            outcomes.append(None)
            continue
        person = resolution.recipients[0]
        outcomes.append(placed.get((person.tenant_id, person.account_id)))
    return outcomes


def _success(resolution: Resolution) -> Action | None:
    is_group = any(person.group for person in resolution.recipients) or any(
        forward.through is None for forward in resolution.elsewhere
    )
    if is_group:
        return Action.DELIVERED if is_list(resolution) else Action.EXPANDED
    if resolution.recipients:
        return Action.DELIVERED
    return None if len(resolution.elsewhere) == 1 else Action.EXPANDED
