"""Messages reach a host, and each recipient has an outcome of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mailserver.outbound.exchange import CutOff, Exchange
from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Reason
from storage.outgoing_types import BodyKind, Notify, ReturnContent
from tests.mailserver.outbound.sending import BOB, CAT, CONTENT, QUICK, Mail, To, send, site_of
from tests.outbound_peers.smtp_peer import Act, SmtpPeer, Stage


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange("waypost.test", QUICK)
    yield exchange
    await exchange.close()


async def test_a_message_arrives_octet_for_octet(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        [outcome] = await send(exchange, site_of(peer))
    assert isinstance(outcome, Delivered)
    assert (outcome.reply.code, outcome.reply.enhanced, outcome.reply.text) == (250, "2.0.0", "Taken as 1")
    assert (outcome.reply.host, outcome.address, outcome.tls) == ("mx0.peer.test", "127.0.0.1", "")
    assert peer.contents == [CONTENT]
    assert peer.commands[0] == "EHLO waypost.test"


async def test_with_pipelining_a_message_needs_two_writes(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        await send(exchange, site_of(peer), BOB, CAT)
    assert peer.batches[1] == (
        b"MAIL FROM:<ann@demo.test> SIZE=%d BODY=8BITMIME\r\n" % len(CONTENT)
        + b"RCPT TO:<bob@peer.test>\r\nRCPT TO:<cat@peer.test>\r\nDATA\r\n"
    )


async def test_without_pipelining_every_command_waits_for_its_reply(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=()) as peer:
        outcomes = await send(exchange, site_of(peer), BOB, CAT)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]
    assert peer.batches[1:5] == [
        b"MAIL FROM:<ann@demo.test>\r\n",
        b"RCPT TO:<bob@peer.test>\r\n",
        b"RCPT TO:<cat@peer.test>\r\n",
        b"DATA\r\n",
    ]


async def test_a_host_that_knows_no_ehlo_is_greeted_with_helo(exchange: Exchange) -> None:
    async with SmtpPeer(replies={Stage.EHLO: "502 5.5.1 What?"}) as peer:
        [outcome] = await send(exchange, site_of(peer))
    assert isinstance(outcome, Delivered)
    assert peer.commands[:3] == ["EHLO waypost.test", "HELO waypost.test", "MAIL FROM:<ann@demo.test>"]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_each_recipient_has_its_own_outcome(exchange: Exchange, extensions: tuple[str, ...]) -> None:
    refusals = {"gone@peer.test": "550 5.1.1 No such person", "full@peer.test": "452 4.2.2 Mailbox full"}
    async with SmtpPeer(extensions=extensions, recipient_replies=refusals) as peer:
        gone, bob, full = await send(exchange, site_of(peer), To("gone@peer.test"), BOB, To("full@peer.test"))
    assert isinstance(gone, Failed)
    assert (gone.reply.code, gone.reply.enhanced, gone.reply.text) == (550, "5.1.1", "No such person")
    assert isinstance(bob, Delivered)
    assert isinstance(full, Deferred)
    assert full.reply.enhanced == "4.2.2"
    assert [each.recipients for each in peer.taken] == [("RCPT TO:<bob@peer.test>",)]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("stage", "reply", "kind"),
    [
        (Stage.MAIL, "550 5.7.1 Not you", Failed),
        (Stage.MAIL, "451 4.7.1 Later", Deferred),
        (Stage.RCPT, "550 5.1.1 Nobody", Failed),
        (Stage.RCPT, "450 4.7.1 Greylisted", Deferred),
        (Stage.DATA, "554 5.7.1 No", Failed),
        (Stage.DATA, "451 4.3.0 Later", Deferred),
        (Stage.END, "554 5.7.1 Spam", Failed),
        (Stage.END, "451 4.3.0 Disk", Deferred),
        (Stage.MAIL, "354 What", Deferred),
        (Stage.DATA, "250 What", Deferred),
        (Stage.END, "354 What", Deferred),
    ],
)
async def test_a_refusal_is_for_good_or_for_now_as_its_code_says_and_the_connection_goes_on(
    exchange: Exchange, extensions: tuple[str, ...], stage: Stage, reply: str, kind: type[object]
) -> None:
    async with SmtpPeer(extensions=extensions, replies={stage: reply}) as peer:
        outcomes = await send(exchange, site_of(peer), BOB, CAT)
        assert [type(outcome) for outcome in outcomes] == [kind, kind]
        if reply.endswith("What"):
            return
        peer.replies.clear()
        [after] = await send(exchange, site_of(peer))
        assert isinstance(after, Delivered)
        assert peer.connections == 1
        assert peer.contents == [CONTENT]


async def test_data_accepted_for_nobody_is_ended_with_nothing(exchange: Exchange) -> None:
    """RFC 2920 §3.1: a host may answer 354 though it refused every recipient."""
    async with SmtpPeer(replies={Stage.RCPT: "550 5.1.1 Nobody"}, takes_data_for_nobody=True) as peer:
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Failed)
        assert peer.contents == [b""]
        peer.replies.clear()
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Delivered)
        assert peer.connections == 1


async def test_a_message_in_many_pieces_is_the_same_message(exchange: Exchange) -> None:
    pieces = [CONTENT[at : at + 1] for at in range(len(CONTENT))]
    async with SmtpPeer() as peer:
        await send(exchange, site_of(peer), content=pieces)
        await send(exchange, site_of(peer), content=[CONTENT])
    assert peer.contents == [CONTENT, CONTENT]


async def test_a_large_message_is_not_held_in_memory(exchange: Exchange) -> None:
    """The next piece is only asked for when most of what was sent is gone."""
    piece = b"0123456789abcdef" * 4_095 + b"0123456789abcd\r\n"
    given = 0

    async def read() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(800):
            given += 1
            yield piece

    async with SmtpPeer(acts={Stage.CONTENT: Act.HANG}, extensions=("PIPELINING",)) as peer:
        peer.acts[Stage.CONTENT] = Act.TRICKLE
        outcomes = await exchange.exchange(site_of(peer), Mail(octets=len(piece) * 800), [BOB], read)
    assert isinstance(outcomes[0], Deferred)
    assert given < 400  # what the two sockets hold: up to 4 and 6 MiB, by Linux's defaults, and a little more


async def test_what_no_smtp_line_may_hold_is_mended(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        await send(exchange, site_of(peer), content=[b"a\nb\rc\r", b"\nd\r\n.\nMAIL FROM:<evil@demo.test>\r", b"e"])
    assert peer.contents == [b"a\r\nb\r\nc\r\nd\r\n.\r\nMAIL FROM:<evil@demo.test>\r\ne\r\n"]


async def test_wishes_for_reports_are_passed_on(exchange: Exchange) -> None:
    letter = Mail(envelope_id="id+1 =x", return_content=ReturnContent.HEADERS)
    addressees = [
        To("bob@peer.test", "rfc822;Bob+x@old.test", Notify.SUCCESS | Notify.FAILURE),
        To("cat@peer.test", None, Notify.NEVER),
        To("dan@peer.test", "utf-8;дан@old.test"),
    ]
    async with SmtpPeer() as peer:
        outcomes = await send(exchange, site_of(peer), *addressees, letter=letter)
    assert all(isinstance(outcome, Delivered) and outcome.is_dsn_passed_on for outcome in outcomes)
    [taken] = peer.taken
    assert taken.mail.endswith(" RET=HDRS ENVID=id+2B1+20+3Dx")
    assert taken.recipients == (
        "RCPT TO:<bob@peer.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@old.test",
        "RCPT TO:<cat@peer.test> NOTIFY=NEVER",
        "RCPT TO:<dan@peer.test> ORCPT=utf-8;\\x{434}\\x{430}\\x{43D}@old.test",
    )


async def test_wishes_for_reports_are_ours_where_the_host_takes_none(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=("PIPELINING",)) as peer:
        letter = Mail(envelope_id="id", return_content=ReturnContent.FULL)
        [outcome] = await send(exchange, site_of(peer), To("bob@peer.test", None, Notify.SUCCESS), letter=letter)
    assert isinstance(outcome, Delivered)
    assert not outcome.is_dsn_passed_on
    assert (peer.taken[0].mail, peer.taken[0].recipients) == (
        "MAIL FROM:<ann@demo.test>",
        ("RCPT TO:<bob@peer.test>",),
    )


async def test_mail_that_is_too_large_is_not_even_offered(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=("SIZE 50",)) as peer:
        [outcome] = await send(exchange, site_of(peer))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.reply.enhanced) == (Reason.TOO_BIG, "5.3.4")
    assert peer.commands == ["EHLO waypost.test"] or peer.commands[1:] == ["QUIT"]


async def test_size_without_limit_is_no_limit(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=("SIZE 0",)) as peer:
        assert isinstance((await send(exchange, site_of(peer)))[0], Delivered)
    async with SmtpPeer(extensions=("SIZE",)) as peer:
        assert isinstance((await send(exchange, site_of(peer)))[0], Delivered)


async def test_internationalised_mail_goes_only_where_it_is_taken(exchange: Exchange) -> None:
    letter = Mail(reverse_path="安@demo.test", needs_utf8=True)
    async with SmtpPeer() as peer:
        [outcome] = await send(exchange, site_of(peer), To("鲍勃@peer.test"), letter=letter)
        assert isinstance(outcome, Delivered)
        assert "SMTPUTF8" in peer.taken[0].mail
    async with SmtpPeer(extensions=("PIPELINING",)) as peer:
        [outcome] = await send(exchange, site_of(peer), To("鲍勃@peer.test"), letter=letter)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.reply.enhanced) == (Reason.NEEDS_UTF8, "5.6.7")


async def test_only_the_internationalised_recipient_needs_smtputf8(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=("PIPELINING",)) as peer:
        outcomes = await send(exchange, site_of(peer), To("鲍勃@peer.test"), BOB)
    assert [type(outcome) for outcome in outcomes] == [Failed, Delivered]


async def test_8bit_content_goes_as_it_is_where_8bitmime_is_not_offered(exchange: Exchange) -> None:
    content = "Subject: x\r\n\r\n你好\r\n".encode()
    async with SmtpPeer(extensions=()) as peer:
        await send(exchange, site_of(peer), letter=Mail(body=BodyKind.EIGHTBIT), content=[content])
        assert peer.taken[0].mail == "MAIL FROM:<ann@demo.test>"
    assert peer.contents == [content]


async def test_7bit_content_is_not_declared_as_more(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=("8BITMIME",)) as peer:
        await send(exchange, site_of(peer), letter=Mail(body=BodyKind.SEVENBIT))
    assert peer.taken[0].mail == "MAIL FROM:<ann@demo.test>"


async def test_the_null_sender_is_written_as_such(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=()) as peer:
        await send(exchange, site_of(peer), letter=Mail(reverse_path=""))
    assert peer.taken[0].mail == "MAIL FROM:<>"


@pytest.mark.parametrize(
    "address", ["a@b>\r\nRSET\r\nx", "bob@peer.test> NOTIFY=NEVER", "a b@peer.test", "@peer.test", "x" * 2_000 + "@b.c"]
)
async def test_an_address_that_would_be_more_than_one_is_never_said(exchange: Exchange, address: str) -> None:
    async with SmtpPeer() as peer:
        bad, good = await send(exchange, site_of(peer), To(address), BOB)
    assert isinstance(bad, Failed)
    assert bad.reason is Reason.ADDRESS_INVALID
    assert isinstance(good, Delivered)
    assert peer.taken[0].recipients == ("RCPT TO:<bob@peer.test>",)


async def test_quoted_local_parts_are_kept(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        [outcome] = await send(exchange, site_of(peer), To('"a b>\\"c"@peer.test'))
    assert isinstance(outcome, Delivered)


async def test_many_recipients_go_in_transactions_of_a_hundred(exchange: Exchange) -> None:
    addressees = [To(f"p{number}@peer.test") for number in range(250)]
    async with SmtpPeer() as peer:
        outcomes = await send(exchange, site_of(peer), *addressees)
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    assert [len(each.recipients) for each in peer.taken] == [100, 100, 50]
    assert peer.connections == 1


async def test_who_is_one_too_many_goes_in_the_next_transaction(exchange: Exchange) -> None:
    """RFC 5321 §4.5.3.1.10."""
    addressees = [To(f"p{number}@peer.test") for number in range(10)]
    async with SmtpPeer(recipients_limit=4) as peer:
        outcomes = await send(exchange, site_of(peer), *addressees)
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    assert [len(each.recipients) for each in peer.taken] == [4, 4, 2]


async def test_a_host_that_has_room_for_nobody_is_not_asked_again_and_again(exchange: Exchange) -> None:
    async with SmtpPeer(recipients_limit=0) as peer:
        outcomes = await send(exchange, site_of(peer), BOB, CAT)
    assert {type(outcome) for outcome in outcomes} == {Deferred}
    assert sum(command.startswith("MAIL") for command in peer.commands) == 1


async def test_a_host_that_says_how_many_recipients_it_takes_is_believed(exchange: Exchange) -> None:
    async with SmtpPeer(extensions=("PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=2")) as peer:
        outcomes = await send(exchange, site_of(peer), *(To(f"p{number}@peer.test") for number in range(5)))
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    assert [(each.connection, len(each.recipients)) for each in peer.taken] == [(1, 2), (1, 2), (2, 1)]


async def test_a_reply_of_many_lines_is_read(exchange: Exchange) -> None:
    async with SmtpPeer(acts={Stage.MAIL: Act.LONG_REPLY}) as peer:
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Delivered)
        peer.acts = {Stage.EHLO: Act.LONG_REPLY}
    async with SmtpPeer(acts={Stage.END: Act.LONG_REPLY}) as peer:
        [outcome] = await send(exchange, site_of(peer))
    assert isinstance(outcome, Delivered)
    assert len(outcome.reply.text) <= 2_000


async def test_a_refusal_within_the_message_counts(exchange: Exchange) -> None:
    piece = b"x" * 998 + b"\r\n"
    async with SmtpPeer(replies={Stage.CONTENT: "552 5.3.4 Too much"}, extensions=()) as peer:
        [outcome] = await send(exchange, site_of(peer), content=[piece] * 20_000)
    assert isinstance(outcome, Failed)
    assert outcome.reply.enhanced == "5.3.4"
    assert not peer.contents


async def test_a_yes_within_the_message_is_none(exchange: Exchange) -> None:
    piece = b"x" * 998 + b"\r\n"
    async with SmtpPeer(replies={Stage.CONTENT: "250 2.0.0 Fine already"}, extensions=()) as peer:
        [outcome] = await send(exchange, site_of(peer), content=[piece] * 20_000)
    assert isinstance(outcome, Deferred)
    assert outcome.reason is Reason.NOT_SMTP


async def test_a_host_that_greets_with_our_name_is_ourselves(exchange: Exchange) -> None:
    async with SmtpPeer(replies={Stage.GREETING: "220 Waypost.Test ESMTP"}) as peer:
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Failed)
        assert (outcome.reason, outcome.reply.enhanced) == (Reason.MAIL_LOOPS, "5.4.6")
        [outcome] = await send(exchange, replace(site_of(peer), is_smarthost=True))
        assert isinstance(outcome, Delivered)


async def test_who_has_the_message_is_known_when_the_rest_is_cut_off() -> None:
    is_second = asyncio.Event()

    async def read() -> AsyncIterator[bytes]:
        if peer.contents:
            is_second.set()
            await asyncio.Event().wait()
        yield CONTENT

    async with SmtpPeer() as peer:
        exchange = Exchange("waypost.test", replace(QUICK, recipients_limit=1))
        task = asyncio.create_task(exchange.exchange(site_of(peer), Mail(), [BOB, CAT], read))
        await is_second.wait()
        task.cancel()
        with pytest.raises(CutOff) as cut:
            await task
        await exchange.close()
    bob, cat = cut.value.outcomes
    assert isinstance(bob, Delivered)
    assert cat is None
