r"""What moving one message out of \Scheduled comes to, wherever else it stands."""

import pytest

from storage.rearranging import Addition, Placement, Rearrangement
from storage.scheduled_mail import moved
from storage.types import NO_FLAGS, Flags, MailboxId, MessageId, SystemFlag, Uid

MESSAGE = MessageId(1)
SCHEDULED, SENT, OTHER = MailboxId(1), MailboxId(2), MailboxId(3)
SEEN, DELETED, DRAFT = SystemFlag.SEEN, SystemFlag.DELETED, SystemFlag.DRAFT
WORDS = frozenset({"work"})


def stands(mailbox: MailboxId, flags: SystemFlag = DRAFT) -> Placement:
    return Placement(MESSAGE, mailbox, Uid(7), Flags(flags, WORDS))


def sent(*placements: Placement, target: MailboxId | None = SENT) -> Rearrangement:
    return moved(placements, SCHEDULED, target, SEEN, DRAFT)


def test_it_is_taken_out_and_put_where_it_belongs_with_its_keywords() -> None:
    assert sent(stands(SCHEDULED)) == Rearrangement(
        removed=[stands(SCHEDULED)], added=[Addition(MESSAGE, SENT, Flags(SEEN, WORDS))]
    )


def test_its_other_placements_stay_and_get_the_same_flags_but_their_own_deleted() -> None:
    wanted = sent(stands(SCHEDULED), stands(OTHER, DRAFT | DELETED))
    assert wanted.removed == [stands(SCHEDULED)]
    assert wanted.changed == [stands(OTHER, SEEN | DELETED)]


@pytest.mark.parametrize("flags", [DRAFT, DRAFT | DELETED])
def test_where_it_stands_already_it_is_only_flagged_and_seen_again(flags: SystemFlag) -> None:
    wanted = sent(stands(SCHEDULED), stands(SENT, flags))
    assert (wanted.removed, wanted.added, wanted.changed) == ([stands(SCHEDULED)], [], [stands(SENT, SEEN)])


@pytest.mark.parametrize("target", [None, SCHEDULED])
def test_where_there_is_no_other_mailbox_for_it_only_flags_change(target: MailboxId | None) -> None:
    assert sent(stands(SCHEDULED), target=target) == Rearrangement(changed=[stands(SCHEDULED, SEEN)])
    assert not sent(stands(SCHEDULED, SEEN), target=target)


@pytest.mark.parametrize(
    "placements",
    [
        (),
        (stands(OTHER),),
        (stands(SCHEDULED, DRAFT | DELETED),),
        (stands(SCHEDULED, DELETED), stands(OTHER, NO_FLAGS)),
    ],
)
def test_one_that_is_elsewhere_or_gone_is_left_alone(placements: tuple[Placement, ...]) -> None:
    assert not sent(*placements)
