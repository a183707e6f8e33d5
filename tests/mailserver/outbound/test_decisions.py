"""What an outcome means for a recipient, and what its sender hears of it (RFC 3461 §4.1, §5.2)."""

from datetime import UTC, datetime, timedelta

import pytest

from mailserver.outbound.decisions import Moment, decide
from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Outcome, Reason, Reply
from mailserver.outbound.schedule import Schedule
from storage.outgoing_types import (
    BodyKind,
    Ending,
    LeasedRecipient,
    Notify,
    OutgoingId,
    QueuedMessage,
    ReportKind,
    Settlement,
)
from tenants.types import AccountId, TenantId

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SCHEDULE = Schedule(60.0, 14_400.0, 432_000.0)
TAKEN = Delivered(Reply(250, "2.0.0", "Taken", "mx"))
TAKEN_WITH_WISHES = Delivered(Reply(250, "2.0.0", "Taken", "mx"), is_dsn_passed_on=True)
LATER = Deferred(Reply(450, "4.2.0", "Later", "mx"), Reason.REFUSED)
NEVER = Failed(Reply(550, "5.1.1", "Nobody", "mx"), Reason.REFUSED)


def recipient(
    notify: Notify | None = None, *, reverse_path: str = "ann@company.test", is_delay_told: bool = False
) -> LeasedRecipient:
    message = QueuedMessage(
        *(TenantId(1), OutgoingId(2), AccountId(3), reverse_path, None, None, False, BodyKind.EIGHTBIT, 100, NOON, b"")
    )
    return LeasedRecipient(message, 1, 1, "bob@far.test", "far.test", None, notify, 0, NOON, is_delay_told)


def decided(of: LeasedRecipient, outcome: Outcome, *, after: timedelta = timedelta(0)) -> Settlement:
    return decide(of, outcome, SCHEDULE, Moment(NOON + after, 0.5))


@pytest.mark.parametrize(
    ("notify", "outcome", "report"),
    [
        (None, TAKEN, ReportKind.NONE),
        (Notify.SUCCESS, TAKEN, ReportKind.RELAYED),
        (Notify.SUCCESS | Notify.FAILURE, TAKEN, ReportKind.RELAYED),
        (Notify.SUCCESS, TAKEN_WITH_WISHES, ReportKind.NONE),
        (None, NEVER, ReportKind.FAILED),
        (Notify.FAILURE, NEVER, ReportKind.FAILED),
        (Notify.SUCCESS, NEVER, ReportKind.NONE),
        (Notify.DELAY, NEVER, ReportKind.NONE),
        (Notify.NEVER, NEVER, ReportKind.NONE),
    ],
)
def test_the_sender_hears_what_they_asked_for(notify: Notify | None, outcome: Outcome, report: ReportKind) -> None:
    settlement = decided(recipient(notify), outcome)
    assert settlement.report is report
    assert settlement.ending is (Ending.DELIVERED if isinstance(outcome, Delivered) else Ending.FAILED)


@pytest.mark.parametrize("outcome", [TAKEN, NEVER, LATER])
@pytest.mark.parametrize("notify", [None, Notify.SUCCESS | Notify.FAILURE | Notify.DELAY])
@pytest.mark.parametrize("after", [timedelta(0), timedelta(hours=5), timedelta(days=6)])
def test_the_null_sender_hears_nothing(outcome: Outcome, notify: Notify | None, after: timedelta) -> None:
    assert decided(recipient(notify, reverse_path=""), outcome, after=after).report is ReportKind.NONE


@pytest.mark.parametrize(
    ("notify", "is_told", "hours", "report"),
    [
        (None, False, 3, ReportKind.NONE),
        (None, False, 4, ReportKind.DELAYED),
        (Notify.DELAY, False, 4, ReportKind.DELAYED),
        (Notify.FAILURE, False, 4, ReportKind.NONE),
        (Notify.NEVER, False, 4, ReportKind.NONE),
        (None, True, 8, ReportKind.NONE),
    ],
)
def test_delay_is_told_once_to_who_wants_to_hear(
    notify: Notify | None, is_told: bool, hours: int, report: ReportKind
) -> None:
    settlement = decided(recipient(notify, is_delay_told=is_told), LATER, after=timedelta(hours=hours))
    assert (settlement.ending, settlement.report) == (Ending.DEFERRED, report)
    assert settlement.next_attempt_at == NOON + timedelta(hours=hours, minutes=1)


@pytest.mark.parametrize(
    ("notify", "report"),
    [(None, ReportKind.EXPIRED), (Notify.FAILURE, ReportKind.EXPIRED), (Notify.DELAY, ReportKind.NONE)],
)
def test_after_five_days_it_is_over(notify: Notify | None, report: ReportKind) -> None:
    settlement = decided(recipient(notify), LATER, after=timedelta(days=5))
    assert (settlement.ending, settlement.report, settlement.reply.text) == (Ending.EXPIRED, report, "Later")


def test_what_others_found_at_the_site_counts_as_an_attempt_that_no_event_tells_of() -> None:
    settlement = decide(recipient(), LATER, SCHEDULE, Moment(NOON, 0.5, NOON + timedelta(hours=1), is_tried=False))
    assert settlement.ending is Ending.PUT_OFF
    assert settlement.next_attempt_at == NOON + timedelta(hours=1, seconds=30)
