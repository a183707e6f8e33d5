"""A transaction without a socket: whatever the host answers, every recipient has one outcome that fits."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Reason
from mailserver.outbound.wire.extensions import Extensions
from mailserver.outbound.wire.reply_reader import RawReply
from mailserver.outbound.wire.steps import Hear, Say, SendContent, Step
from mailserver.outbound.wire.transaction import Peer, Transaction
from tests.mailserver.outbound.sending import Mail, To

PEER = Peer("mx.test", "192.0.2.1")


class Talk:
    """Plays the host: replies in order, and the conversation breaks where they end."""

    def __init__(self, transaction: Transaction, replies: list[int], *, resets: bool = False) -> None:
        self.said = b""
        self.heard: list[int] = []
        self.content_after: list[int] | None = None
        self.is_broken = False
        steps = transaction.steps(resets=resets)
        answer: RawReply | bool | None = None
        pending = list(replies)
        while True:
            try:
                step: Step = steps.send(answer)
            except StopIteration:
                return
            answer = None
            match step:
                case Say(octets):
                    self.said += octets
                case Hear():
                    if not pending:
                        transaction.interrupt(Reason.CONNECTION_LOST)
                        self.is_broken = True
                        return
                    self.heard.append(pending[0])
                    answer = RawReply(pending.pop(0), (b"said",))
                case SendContent():
                    self.content_after = list(self.heard)
                    answer = True


def people(count: int) -> list[To]:
    return [To(f"p{number}@test") for number in range(count)]


def test_pipelined_commands_are_said_together() -> None:
    transaction = Transaction(Mail(octets=5), people(2), Extensions(pipelining=True), PEER)
    talk = Talk(transaction, [250, 250, 550, 354, 250])
    assert talk.said == b"MAIL FROM:<ann@demo.test>\r\nRCPT TO:<p0@test>\r\nRCPT TO:<p1@test>\r\nDATA\r\n"
    assert [type(outcome) for outcome in transaction.outcomes] == [Delivered, Failed]
    assert not transaction.leaves_open


def test_after_a_transaction_that_was_left_open_rset_goes_first() -> None:
    transaction = Transaction(Mail(), people(1), Extensions(pipelining=True), PEER)
    talk = Talk(transaction, [500, 250, 250, 354, 250], resets=True)
    assert talk.said.startswith(b"RSET\r\nMAIL")
    assert isinstance(transaction.outcomes[0], Delivered)


def test_a_refused_mail_leaves_the_rest_unsaid_without_pipelining() -> None:
    transaction = Transaction(Mail(), people(2), Extensions(), PEER)
    talk = Talk(transaction, [550])
    assert talk.said == b"MAIL FROM:<ann@demo.test>\r\n"
    assert [type(outcome) for outcome in transaction.outcomes] == [Failed, Failed]
    assert transaction.leaves_open


def test_552_for_a_recipient_after_others_means_one_too_many() -> None:
    transaction = Transaction(Mail(), people(2), Extensions(pipelining=True), PEER)
    Talk(transaction, [250, 250, 552, 354, 250])
    outcome = transaction.outcomes[1]
    assert isinstance(outcome, Deferred)
    assert outcome.reason is Reason.TOO_MANY_RECIPIENTS


def test_552_for_the_first_recipient_is_about_the_recipient() -> None:
    transaction = Transaction(Mail(), people(1), Extensions(pipelining=True), PEER)
    Talk(transaction, [250, 552, 503])
    assert isinstance(transaction.outcomes[0], Failed)


CODES = st.sampled_from([250, 250, 250, 354, 421, 450, 452, 500, 503, 550, 552, 554, 220, 299])


@settings(max_examples=400)
@given(st.booleans(), st.booleans(), st.integers(1, 5), st.lists(CODES, max_size=12))
def test_whatever_a_host_answers_nobody_is_lost_and_nobody_made_up(
    pipelining: bool, resets: bool, count: int, replies: list[int]
) -> None:
    transaction = Transaction(Mail(), people(count), Extensions(pipelining=pipelining), PEER)
    talk = Talk(transaction, replies, resets=resets)
    delivered = [outcome for outcome in transaction.outcomes if isinstance(outcome, Delivered)]
    if delivered:
        assert talk.content_after is not None
        final = talk.heard[len(talk.content_after)]
        assert 200 <= final < 300
        assert len(delivered) <= sum(200 <= code < 300 for code in talk.content_after)
    if None in transaction.outcomes:
        assert transaction.breakage is not None
        assert not transaction.is_content_sent  # so it may be sent again
    if transaction.is_content_sent and talk.is_broken:
        late = [outcome for outcome in transaction.outcomes if isinstance(outcome, Deferred) and outcome.may_be_twice]
        assert late
    for outcome in transaction.outcomes:
        if isinstance(outcome, Failed):
            assert outcome.reply.code >= 500
