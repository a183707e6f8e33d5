"""What an outcome means for a recipient's place in the queue, and whether its sender is told (RFC 3461 §5.2)."""

from dataclasses import dataclass
from datetime import datetime

from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Outcome, Reply
from mailserver.outbound.schedule import Schedule
from storage.outgoing_types import Ending, LastReply, LeasedRecipient, Notify, ReportKind, Settlement


@dataclass(frozen=True, slots=True)
class Moment:
    """`chance` is from 0 to 1; `not_before` is when the site may be tried again, if it rests.

    `is_tried`: the outcome is this recipient's own, and not what others found at the site.
    """

    now: datetime
    chance: float
    not_before: datetime | None = None
    is_tried: bool = True


def decide(recipient: LeasedRecipient, outcome: Outcome, schedule: Schedule, moment: Moment) -> Settlement:
    reply = _last_reply(outcome.reply)
    match outcome:
        case Delivered(is_dsn_passed_on=is_passed_on):
            is_told = not is_passed_on and _wants(recipient, Notify.SUCCESS)
            return Settlement(
                recipient, Ending.DELIVERED, reply, report=ReportKind.RELAYED if is_told else ReportKind.NONE
            )
        case Failed():
            return Settlement(recipient, Ending.FAILED, reply, report=_if_wanted(recipient, ReportKind.FAILED))
        case Deferred():
            return _defer(recipient, reply, schedule, moment)


def _defer(recipient: LeasedRecipient, reply: LastReply, schedule: Schedule, moment: Moment) -> Settlement:
    next_attempt_at = schedule.next_attempt(
        recipient.attempts + 1,
        waits_since=recipient.waits_since,
        now=moment.now,
        chance=moment.chance,
        not_before=moment.not_before,
    )
    if next_attempt_at is None:
        return Settlement(recipient, Ending.EXPIRED, reply, report=_if_wanted(recipient, ReportKind.EXPIRED))
    is_told = (
        not recipient.is_delay_told
        and schedule.is_delay_due(recipient.waits_since, moment.now)
        and _wants(recipient, Notify.DELAY)
    )
    return Settlement(
        recipient,
        Ending.DEFERRED if moment.is_tried else Ending.PUT_OFF,
        reply,
        report=ReportKind.DELAYED if is_told else ReportKind.NONE,
        next_attempt_at=next_attempt_at,
    )


def _if_wanted(recipient: LeasedRecipient, report: ReportKind) -> ReportKind:
    return report if _wants(recipient, Notify.FAILURE) else ReportKind.NONE


def _wants(recipient: LeasedRecipient, what: Notify) -> bool:
    """The null sender is never told anything (RFC 5321 §4.5.5); one who said nothing hears of failure and delay."""
    if not recipient.message.reverse_path:
        return False
    wanted = recipient.notify if recipient.notify is not None else Notify.FAILURE | Notify.DELAY
    return what in wanted


def _last_reply(reply: Reply) -> LastReply:
    return LastReply(reply.code, reply.enhanced, reply.text, reply.host)
