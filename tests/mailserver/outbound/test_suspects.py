"""Messages whose attempts ended without a word: which may be tried, which wait, which are set aside."""

from datetime import UTC, datetime

import pytest

from mailserver.outbound.site_work import Batch
from mailserver.outbound.suspects import ASIDE_AFTER, SUSPECT_AFTER, Judgement, Suspects
from storage.outgoing_types import BodyKind, LeasedRecipient, OutgoingId, QueuedMessage
from tenants.types import TenantId

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MESSAGE = QueuedMessage(
    TenantId(1), OutgoingId(2), None, "ann@a.test", None, None, False, BodyKind.EIGHTBIT, 9, NOON, b""
)


def batch(unsettled_leases: int) -> Batch:
    bob = LeasedRecipient(
        MESSAGE, 1, 1, "bob@b.test", "b.test", None, None, 0, NOON, False, unsettled_leases=unsettled_leases
    )
    return Batch(MESSAGE, [bob], 0.0)


@pytest.mark.parametrize(
    ("unsettled_leases", "judgement"),
    [
        (1, Judgement.CLEAR),
        (SUSPECT_AFTER, Judgement.CLEAR),
        (SUSPECT_AFTER + 1, Judgement.ALONE),
        (ASIDE_AFTER, Judgement.ALONE),
        (ASIDE_AFTER + 1, Judgement.ASIDE),
    ],
)
def test_the_last_leases_say_how_it_is_tried(unsettled_leases: int, judgement: Judgement) -> None:
    assert Suspects().judge(batch(unsettled_leases)) is judgement


def test_suspects_are_tried_one_after_the_other_and_nobody_waits_for_them() -> None:
    suspects = Suspects()
    first, second = batch(SUSPECT_AFTER + 1), batch(SUSPECT_AFTER + 1)
    assert suspects.judge(first) is Judgement.ALONE
    assert suspects.judge(second) is Judgement.LATER
    assert suspects.judge(batch(1)) is Judgement.CLEAR
    suspects.ended(second)
    assert suspects.judge(second) is Judgement.LATER
    suspects.ended(first)
    assert suspects.judge(second) is Judgement.ALONE
