"""Mail for other systems: submitted by people who signed in, until the hosts of 200 domains have taken all of it."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.destinations import DESTINATIONS, domain
from tests.bench.load.imap_client import Failed
from tests.bench.load.meter import tell
from tests.bench.load.processes import ProcessTrees
from tests.bench.load.rig import Rig
from tests.bench.load.sink import Sink, counting_sink, messages_of, smtp_sink, taken_by
from tests.bench.load.smtp_client import SmtpClient, stuffed

_FIRST_SENDER = 1_000
_POLL_S = 0.02
_WATCH_S = 0.25
_AFTERWARDS_S = 1.0
"""Whatever is sent twice has time to come."""
_RECIPIENTS_EACH = 100
_DOMAINS_EACH = 5
_FROM = re.compile(rb"^From: .*\r\n(?:[ \t].*\r\n)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Submission:
    recipients: Sequence[bytes]
    stuffed: bytes


async def sending(rig: Rig) -> None:
    """One recipient a message, the domains in turn. The clock runs from the first MAIL until smtp-sink has counted the
    last message; then nothing more may come. Every domain got a message before: only we ask DNS, and not each time."""
    o = rig.options
    senders = await _Senders.sign_in(rig)
    before = senders.share_out([[f"first@{domain(number)}".encode()] for number in range(DESTINATIONS)])
    work = senders.share_out([[f"p{number}@{domain(number)}".encode()] for number in range(o.messages)])
    async with smtp_sink(o.sink_port) as sink:
        await senders.submit(before)
        await _until(lambda: messages_of(sink) >= DESTINATIONS, o.timeout_s)
        await asyncio.sleep(_AFTERWARDS_S)
        meter = rig.meter().start()
        await senders.submit(work)
        accepted_s = time.perf_counter() - meter.started
        await _until(lambda: messages_of(sink) >= DESTINATIONS + o.messages, o.timeout_s)
        meter.stop()
        await asyncio.sleep(_AFTERWARDS_S)
        taken = messages_of(sink) - DESTINATIONS
    senders.quit()
    meter.tell(
        "sending",
        taken,
        octets=sum(len(each.stuffed) for mine in work for each in mine),
        destinations=min(DESTINATIONS, o.messages),
        accepted_per_s=round(o.messages / accepted_s, 1),
        taken=taken,
        right=taken == o.messages,
    )


async def queued(rig: Rig) -> None:
    """Memory of what holds the queue, while hosts that take their time make it long: first with a tenth of the
    recipients, then with all. `growth_mb` is the difference of the peaks: what the length of the queue costs."""
    o = rig.options
    queue = ProcessTrees([int(pid) for pid in o.queue_pids.split(",") if pid])
    if not queue.pids():
        raise Failed("nobody said which processes hold the queue")
    senders = await _Senders.sign_in(rig)
    before_mb = queue.memory().pss_mb
    async with counting_sink(o.sink_port, o.sink_delay_s) as sink:
        few = await _fill_and_empty(senders, sink, queue, 0, o.queued // 10, o.timeout_s)
        many = await _fill_and_empty(senders, sink, queue, o.queued // 10, o.queued, o.timeout_s)
        await asyncio.sleep(_AFTERWARDS_S)
        taken, afterwards_mb = taken_by(sink), queue.memory().pss_mb
    senders.quit()
    tell(
        target=o.name,
        workload="queued",
        operations=o.queued,
        growth_mb=round(many.peak_mb - few.peak_mb, 1),
        before_mb=before_mb,
        peak_of_few_mb=few.peak_mb,
        peak_mb=many.peak_mb,
        afterwards_mb=afterwards_mb,
        longest=many.longest,
        wall_s=round(many.wall_s, 1),
        recipients_per_s=round(o.queued / many.wall_s, 1),
        transactions=taken.messages,
        taken=taken.recipients,
        distinct=taken.distinct,
        right=taken.recipients == taken.distinct == o.queued // 10 + o.queued,
    )


@dataclass(slots=True)
class _Course:
    """What was seen while a queue filled and emptied. `longest`: recipients accepted and not yet taken."""

    peak_mb: float = 0.0
    longest: int = 0
    wall_s: float = 0.0


async def _fill_and_empty(
    senders: "_Senders", sink: Sink, queue: ProcessTrees, first: int, recipients: int, timeout_s: float
) -> _Course:
    course, before = _Course(), taken_by(sink).recipients
    numbers = range(first, first + recipients, _RECIPIENTS_EACH)
    work = senders.share_out([_spread(number) for number in numbers])
    senders.accepted = 0

    async def watch() -> None:
        while True:
            waiting = senders.accepted - (taken_by(sink).recipients - before)
            course.longest = max(course.longest, waiting)
            course.peak_mb = max(course.peak_mb, queue.memory().pss_mb)
            await asyncio.sleep(_WATCH_S)

    started = time.perf_counter()
    watching = asyncio.create_task(watch())
    await senders.submit(work)
    await _until(lambda: taken_by(sink).recipients - before >= recipients, timeout_s)
    course.wall_s = time.perf_counter() - started
    watching.cancel()
    return course


def _spread(first: int) -> list[bytes]:
    """Recipients of one message, at some of the domains; other messages have others."""
    at = first // _RECIPIENTS_EACH * _DOMAINS_EACH
    domains = [domain(at + which) for which in range(_DOMAINS_EACH)]
    return [f"r{first + n}@{domains[n % _DOMAINS_EACH]}".encode() for n in range(_RECIPIENTS_EACH)]


class _Senders:
    """People who have signed in, each on a connection of their own."""

    def __init__(self, rig: Rig, clients: list[SmtpClient]) -> None:
        self._rig = rig
        self._clients = clients
        self._addresses = [rig.address(_FIRST_SENDER + number).encode() for number in range(len(clients))]
        self.accepted = 0
        """recipients"""

    @staticmethod
    async def sign_in(rig: Rig) -> "_Senders":
        return _Senders(
            rig, [await rig.submission(_FIRST_SENDER + number) for number in range(rig.options.connections)]
        )

    def share_out(self, recipients: Sequence[Sequence[bytes]]) -> list[list[_Submission]]:
        """A message for each of the lists, from each sender in turn."""
        work: list[list[_Submission]] = [[] for _ in self._clients]
        for number, (to, message) in enumerate(zip(recipients, self._rig.stock(len(recipients)), strict=True)):
            which = number % len(self._clients)
            own, changed = _FROM.subn(b"From: <%s>\r\n" % self._addresses[which], message, count=1)
            assert changed
            work[which].append(_Submission(to, stuffed(own)))
        return work

    async def submit(self, work: list[list[_Submission]]) -> None:
        """All of it. Raises Failed at the first refusal."""

        async def one(client: SmtpClient, address: bytes, mine: list[_Submission]) -> None:
            for each in mine:
                await client.send(each.recipients, each.stuffed, sender=address)
                self.accepted += len(each.recipients)

        await asyncio.gather(*map(one, self._clients, self._addresses, work))

    def quit(self) -> None:
        for client in self._clients:
            client.quit()


async def _until(is_so: Callable[[], bool], limit_s: float) -> None:
    """Or until there is no more patience: the counts tell then."""
    end = time.perf_counter() + limit_s
    while True:
        if is_so() or time.perf_counter() > end:
            return
        await asyncio.sleep(_POLL_S)
