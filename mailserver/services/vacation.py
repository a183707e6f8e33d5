"""Who is away answers by itself (RFC 8621 §8, RFC 3834): once to each sender in a week, never to programs or lists.

The arrivals say who has a message, after its commit and before the sender is answered. That costs a look into memory;
everything else is done afterwards, by one task of the process. Nothing of it is durable before the answer is claimed,
and the claim commits before the answer is queued: a process that is killed loses answers, and never sends one twice.
That way round on purpose, for nobody misses the answer to one message of several, and everybody minds two.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import mmap

from mailserver.mime.auto_response import addressed, may_answer
from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.services.addresses import Recipients
from mailserver.services.errors import OnlyReturns
from mailserver.services.incoming import Addressee, IncomingMail
from mailserver.services.remembered import Remembered
from mailserver.services.returns import zone_named
from mailserver.services.vacation_wording import Answer, compose_answer
from mailserver.tasks import end_task
from storage import identities as stored_identities
from storage import vacations as stored
from storage.errors import OverQuota, StorageError
from storage.outgoing_types import Notify, Submitter
from storage.provisioning import provision_account
from storage.store import MailStore
from storage.type_states import begin_change
from storage.vacations import Vacation
from tenants.addresses import format_address, may_send_as, parse_address
from tenants.errors import AddressInvalid, DomainNotLocal, TenantsError
from tenants.types import AccountId, Principal, Recipient, Resolution, TenantId

ANSWERS = counter("vacation_answers", "Answers of people who are away.")
DROPPED = counter("vacation_answers_dropped", "Messages that nobody answered, for too many came at once.")

PERIOD_S = 7 * 86_400.0
KNOWN_S = 5.0
"""So long it may take until setting it is felt."""
_TENANTS = 5_000
_WAITING = 2_000
_HEADER_OCTETS = 65_536
_CLOSE_S = 5.0

Take = Callable[[IncomingMail], Awaitable[object]]
Resolve = Callable[[str], Awaitable[Resolution | None]]
"""What mail to an address reaches; None: it is of another system. Raises as `Arrivals.resolve`."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Heard:
    reverse_path: str
    header: bytes
    people: tuple[Recipient, ...]


async def vacation_of(store: MailStore, who: Principal) -> Vacation:
    """Raises StoreUnavailable."""
    async with store.database.read(who.tenant_id) as connection:
        return await stored.find(connection, who.tenant_id, who.account_id)


async def set_vacation(store: MailStore, who: Principal, change: Callable[[Vacation], Vacation]) -> Vacation:
    """Who is away anew, or has something else to say, answers everybody anew. Raises what `change` raises, and
    StoreUnavailable."""
    await provision_account(store.database, who.tenant_id, who.account_id)
    async with store.database.transaction(who.tenant_id) as connection:
        modseq = await begin_change(connection, who.tenant_id, who.account_id, stored.TYPE_NAME)
        before = await stored.find(connection, who.tenant_id, who.account_id)
        after = change(before)
        await stored.put(connection, who.tenant_id, who.account_id, after)
        if after != before:
            await stored.forget_answers(connection, who.tenant_id, who.account_id)
    store.announce(who.tenant_id, who.account_id, modseq)
    return after


class VacationAnswers:
    """One per process. `clock` is aware UTC, `monotonic` seconds, `new_token` unique."""

    def __init__(
        self,
        store: MailStore,
        recipients: Recipients,
        resolve: Resolve,
        take: Take,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float],
        new_token: Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._resolve = resolve
        self._take = take
        self._clock = clock
        self._new_token = new_token
        self._away = Remembered[TenantId, frozenset[AccountId]](lifetime_s=KNOWN_S, limit=_TENANTS, clock=monotonic)
        self._waiting: deque[_Heard] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="vacation answers")

    async def close(self) -> None:
        """What was heard of is answered first, if that does not take long."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.settle()
        except TimeoutError:
            log.warning("answers of people who are away are lost", messages=len(self._waiting))
        await end_task(self._task)

    async def settle(self) -> None:
        """Wait until everything that was heard of is answered."""
        if self._task is not None and not self._task.done():
            await self._idle.wait()

    def heard(self, mail: IncomingMail, people: Sequence[Recipient]) -> None:
        """They have the message. Neither waits nor raises."""
        if not mail.reverse_path or self._task is None:
            return
        chosen = tuple(each for each in people if self._may_be_away(each))
        if not chosen:
            return
        if len(self._waiting) >= _WAITING:
            DROPPED.labels().inc()
            return
        self._waiting.append(_Heard(mail.reverse_path, _header(mail.octets), chosen))
        self._idle.clear()
        self._wake.set()

    def _may_be_away(self, person: Recipient) -> bool:
        away = self._away.find(person.tenant_id)
        return away is None or person.account_id in away

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._answer_all(self._waiting[0])
                self._waiting.popleft()
            self._idle.set()

    async def _answer_all(self, heard: _Heard) -> None:
        for person in heard.people:
            try:
                if person.account_id in await self._away_of(person.tenant_id):
                    await self._answer(heard, person)
            except StorageError as error:
                log.warning("nobody answers for somebody who is away", reason=type(error).__name__)
            except Exception:  # a door of its own: one message that nobody foresaw leaves the others alone
                log.exception("answering for somebody who is away failed")

    async def _away_of(self, tenant_id: TenantId) -> frozenset[AccountId]:
        known = self._away.find(tenant_id)
        if known is None:
            known = await stored.enabled_accounts(self._store.database, tenant_id)
            self._away.keep(tenant_id, known)
        return known

    async def _answer(self, heard: _Heard, person: Recipient) -> None:
        if not may_answer(heard.header, heard.reverse_path):
            return
        now = self._clock()
        who = _principal(person)
        vacation = await vacation_of(self._store, who)
        if not vacation.is_active(now):
            return
        own = await self._recipients.sender_addresses(who)
        address = _addressed_as(heard.header, own)
        sender = _canonical(heard.reverse_path)
        if address is None or sender is None or may_send_as(parse_address(sender), own):
            return
        try:
            resolution = await self._resolve(heard.reverse_path)
        except DomainNotLocal:
            resolution = None
        except (TenantsError, OverQuota, OnlyReturns):
            return
        if not await stored.claim_answer(
            self._store.database, person.tenant_id, person.account_id, sender, period_s=PERIOD_S
        ):
            return
        octets = compose_answer(
            Answer(
                vacation,
                heard.header,
                await self._name(who, address),
                address,
                heard.reverse_path,
                is_inside=resolution is not None and resolution.tenant_id == person.tenant_id,
                language=person.language,
                written_at=now.astimezone(zone_named(person.time_zone)),
                token=self._new_token(),
            )
        )
        await self._take(
            IncomingMail(
                b"Return-Path: <>\r\n" + octets,
                "",
                (Addressee(heard.reverse_path, resolution, Notify.NEVER),),
                now,
                sender=Submitter(person.tenant_id, None),
                needs_utf8=not f"{heard.reverse_path}{address}".isascii(),
            )
        )
        ANSWERS.labels().inc()

    async def _name(self, who: Principal, address: str) -> str:
        """As they call themselves where they write as this address."""
        async with self._store.database.read(who.tenant_id) as connection:
            found = await stored_identities.identities(connection, who.tenant_id, who.account_id)
        named = {str(parse_address(each.email)): each.name for each in reversed(found)}
        return named.get(str(parse_address(address)), "")


def _header(octets: bytes | mmap) -> bytes:
    head = octets[:_HEADER_OCTETS]
    end = head.find(b"\r\n\r\n")
    return head[: end + 2] if end >= 0 else head


def _addressed_as(header: bytes, own: frozenset[str]) -> str | None:
    """Which of one's addresses the message names; None: it came some other way, as through a list."""
    for each in addressed(header):
        canonical = _canonical(each)
        if canonical is not None and may_send_as(parse_address(canonical), own):
            return canonical
    return None


def _canonical(address: str) -> str | None:
    try:
        return format_address(parse_address(address))
    except AddressInvalid:
        return None


def _principal(person: Recipient) -> Principal:
    return Principal(
        person.tenant_id,
        person.account_id,
        person.address,
        "",
        person.language,
        person.time_zone,
        person.quota_octets,
        is_administrator=False,
    )
