"""The queue's worker against hosts that answer by SMTP and a DNS server: what leaves, when, and how often."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailserver.outbound.sites import Security, Smarthost
from mailserver.outbound.suspects import ASIDE_AFTER
from mailserver.services.queue_reports import DROPPED_AFTER_CLAIMS
from storage import outgoing_acts, smarthosts
from storage.outgoing_acts import Chosen
from storage.outgoing_types import EventKind, HeldReason, Notify, QueueState
from storage.smarthosts import SmarthostSetting
from storage.store import MailStore
from tenants.types import Resolution
from tests.conftest import Company, RunningServices, new_company, owner_connection, plain_message
from tests.mailserver.outbound.post import Post, until, with_config
from tests.outbound_peers.dns_server import DnsServer, Fault
from tests.outbound_peers.smtp_peer import Act, SmtpPeer, Stage
from tests.people import new_person
from tests.someone import Someone


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer() as running:
        yield running


@pytest.fixture
async def post(services: RunningServices, store: MailStore, company: Company, peer: SmtpPeer) -> AsyncIterator[Post]:
    with owner_connection(services) as owner:  # a worker works for every tenant, also for those of earlier tests
        owner.execute("TRUNCATE outgoing, outgoing_content, outgoing_recipient")
    ann = await company.person("ann")
    zone = {
        **{f"{name}.test": {"MX": ["10 mx.peer.test."]} for name in ("far", "near", "third")},
        "mx.peer.test": {"A": [peer.host]},
        "dead.test": {"MX": ["10 mx.dead.test."]},
        "mx.dead.test": {"A": ["127.0.0.9"]},
    }
    async with DnsServer(zone) as dns:
        yield Post(store, company, ann, dns, peer.port)


async def test_what_is_queued_arrives_octet_for_octet_without_return_path(post: Post, peer: SmtpPeer) -> None:
    octets = plain_message(body="A line.\r\n.\r\n..dots\r\nand the end")
    await post.send("bob@far.test", octets=b"Return-Path: <ann@company.test>\r\n" + octets)
    async with post.running():
        await post.until_empty()
    (taken,) = peer.taken
    assert taken.content == octets
    assert taken.mail.startswith(f"MAIL FROM:<{post.ann.address}>")


async def test_recipients_at_one_site_share_a_transaction_whatever_their_domains(post: Post, peer: SmtpPeer) -> None:
    await post.send("bob@far.test", "cat@near.test", "dan@far.test", "eve@third.test")
    async with post.running():
        await post.until_empty()
    assert sorted(len(each.recipients) for each in peer.taken) in ([4], [1, 3], [2, 2], [1, 1, 2])
    assert len({each for taken in peer.taken for each in taken.recipients}) == 4


async def test_a_hint_wakes_the_worker_at_once(post: Post, peer: SmtpPeer) -> None:
    slow = with_config(post, look_every_s=3600.0)
    outbound = slow.start()
    assert outbound.worker is not None
    try:
        await slow.send("bob@far.test")
        for lane in slow.hints:
            outbound.worker.lanes.mark_due(lane)
        await until(lambda: peer.contents, within_s=2.0)
    finally:
        await outbound.drain(2.0)


async def test_a_temporary_refusal_is_tried_again_until_it_is_taken(post: Post, peer: SmtpPeer) -> None:
    peer.replies[Stage.RCPT] = "450 4.2.0 Not now"
    await post.send("bob@far.test")
    async with post.running():
        (row,) = await post.until_waiting(attempts=2)
        assert (row.reply_code, row.reply_enhanced) == (450, "4.2.0")
        del peer.replies[Stage.RCPT]
        await post.until_empty()
    assert len(peer.contents) == 1


async def test_a_refusal_for_good_comes_back_as_a_report_to_the_sender(post: Post, peer: SmtpPeer) -> None:
    peer.recipient_replies["bob@far.test"] = "550 5.1.1 There is no bob"
    await post.send("bob@far.test", "cat@far.test")
    async with post.running():
        await post.until_empty()
    (report,) = await Someone(post.store, post.ann).octets()
    assert b"bob@far.test" in report
    assert b"There is no bob" in report
    assert b"cat@far.test" not in report
    assert report.startswith(b"Return-Path: <>\r\n")
    assert len(peer.contents) == 1


async def test_recipients_of_a_message_that_fail_together_share_a_report(post: Post, peer: SmtpPeer) -> None:
    peer.replies[Stage.RCPT] = "550 5.1.1 Nobody"
    await post.send("bob@far.test", "cat@near.test", "dan@nowhere.test")
    patient = with_config(post, report_wait_s=0.5)
    async with patient.running():
        await patient.until_empty()
    reports = await Someone(post.store, post.ann).octets()
    assert len(reports) == 1
    for address in (b"bob@far.test", b"cat@near.test", b"dan@nowhere.test"):
        assert address in reports[0]


async def test_nobody_is_told_of_mail_from_the_null_sender_or_who_asked_not_to_be(post: Post, peer: SmtpPeer) -> None:
    peer.replies[Stage.RCPT] = "550 5.1.1 Nobody"
    await post.send("bob@far.test", reverse_path="")
    await post.send("bob@far.test", notify=Notify.NEVER)
    await post.send("bob@far.test", notify=Notify.SUCCESS)
    async with post.running():
        await post.until_empty()
    assert await Someone(post.store, post.ann).uids() == []


async def test_a_report_to_another_system_is_queued_with_the_null_sender(post: Post, peer: SmtpPeer) -> None:
    peer.recipient_replies["bob@far.test"] = "550 5.1.1 There is no bob"
    await post.send("bob@far.test", reverse_path="author@near.test")
    async with post.running():
        await until(lambda: peer.contents)
        await post.until_empty()
    (taken,) = [each for each in peer.taken if each.is_answered]
    assert taken.mail.startswith("MAIL FROM:<>")
    assert taken.recipients[0].startswith("RCPT TO:<author@near.test>")
    assert b"There is no bob" in taken.content
    assert not taken.content.startswith(b"Return-Path")


async def test_success_is_told_when_asked_for_and_the_host_does_not_tell(post: Post, peer: SmtpPeer) -> None:
    peer.extensions = ("PIPELINING", "8BITMIME")
    await post.send("bob@far.test", notify=Notify.SUCCESS)
    async with post.running():
        await post.until_empty()
    (report,) = await Someone(post.store, post.ann).octets()
    assert b"Action: relayed" in report


async def test_success_is_not_told_here_when_the_host_tells_itself(post: Post, peer: SmtpPeer) -> None:
    await post.send("bob@far.test", notify=Notify.SUCCESS)
    async with post.running():
        await post.until_empty()
    assert await Someone(post.store, post.ann).uids() == []
    assert "NOTIFY=SUCCESS" in peer.taken[0].recipients[0]


async def test_delay_is_told_once_and_expiry_ends_it(post: Post, peer: SmtpPeer) -> None:
    peer.replies[Stage.RCPT] = "451 4.7.1 Come back later"
    await post.send("bob@far.test")
    impatient = with_config(post, tell_delay_after_s=0.2, expire_after_s=1.5)
    async with impatient.running():
        await post.until_empty()
    reports = await Someone(post.store, post.ann).octets()
    actions = [b"delayed" if b"Action: delayed" in each else b"failed" for each in reports]
    assert actions == [b"delayed", b"failed"]


async def test_a_domain_that_does_not_exist_comes_back_without_a_connection(post: Post, peer: SmtpPeer) -> None:
    await post.send("bob@nowhere.test")
    async with post.running():
        await post.until_empty()
    (report,) = await Someone(post.store, post.ann).octets()
    assert b"bob@nowhere.test" in report
    assert peer.connections == 0


async def test_dns_that_does_not_answer_is_waited_for(post: Post, peer: SmtpPeer) -> None:
    post.dns.faults["far.test"] = Fault.SERVFAIL
    await post.send("bob@far.test")
    async with post.running():
        (row,) = await post.until_waiting(attempts=1)
        assert row.reply_enhanced == "4.4.3"
        post.dns.faults.clear()
        await outgoing_acts.retry(post.store.database, Chosen(post.company.tenant_id))
        await post.until_empty(within_s=20)
    assert len(peer.contents) == 1


async def test_a_dead_site_costs_a_connection_now_and_then_however_much_waits_for_it(post: Post) -> None:
    """Nobody listens at 127.0.0.9 on the peer's port; the mail is put off by what one attempt found."""
    for number in range(300):
        await post.send(f"person{number}@dead.test")
    resting = with_config(post, rest_s=30.0, longest_rest_s=30.0)
    async with resting.running() as outbound:
        rows = await resting.until_waiting(attempts=1, count=300)
        assert outbound.worker is not None
    assert {row.reply_enhanced[:3] for row in rows} == {"4.4"}
    suspended = [row for row in rows if row.reply_text.startswith("Not tried now")]
    assert len(suspended) > 250
    rest_over = datetime.now(UTC) + timedelta(seconds=20)
    assert all(row.next_attempt_at > rest_over for row in suspended)


async def test_a_dead_site_does_not_hold_up_others(post: Post, peer: SmtpPeer) -> None:
    for number in range(50):
        await post.send(f"person{number}@dead.test", f"person{number}@far.test")
    async with post.running():
        await until(lambda: len(peer.contents) == 50)


async def test_a_site_that_rests_is_tried_again_and_all_its_mail_leaves(post: Post, peer: SmtpPeer) -> None:
    peer.acts[Stage.GREETING] = Act.CLOSE
    for number in range(20):
        await post.send(f"person{number}@far.test")
    async with post.running():
        await post.until_waiting(attempts=1, count=20)
        peer.acts.clear()
        await post.until_empty(within_s=20)
    assert len(peer.contents) == 20


async def test_a_site_gets_more_at_once_while_it_takes_everything(post: Post, peer: SmtpPeer) -> None:
    for number in range(120):
        await post.send(f"person{number}@far.test")
    growing = with_config(post, site_exchanges_start=2, site_exchanges_limit=7)
    async with growing.running():
        await post.until_empty(within_s=20)
    assert 2 < peer.most_open <= 7
    assert len(peer.contents) == 120


async def test_one_tenants_flood_does_not_stand_before_anothers_mail(
    post: Post, peer: SmtpPeer, services: RunningServices
) -> None:
    for _ in range(4):
        await post.send(*(f"person{number}@far.test" for number in range(100)), reverse_path="")
    flood = with_config(post, site_exchanges_limit=1, site_exchanges_start=1, leased_limit=20)
    other = await new_company(services, post.store.database)
    small = Post(post.store, other, await other.person("eve"), post.dns, post.port)
    await small.send("friend@far.test")
    async with flood.running():
        await small.until_empty()
        assert len(await flood.listed()) > 200


async def test_everything_leaves_once_with_two_workers(post: Post, peer: SmtpPeer) -> None:
    for number in range(60):
        await post.send(f"a{number}@far.test", f"b{number}@near.test", f"c{number}@third.test")
    async with post.running(), post.running():
        await post.until_empty(within_s=20)
    seen = Counter(line for taken in peer.taken for line in taken.recipients)
    assert len(seen) == 180
    assert set(seen.values()) == {1}


async def test_a_stop_waits_for_what_is_under_way_and_gives_back_the_rest(post: Post, peer: SmtpPeer) -> None:
    for number in range(30):
        await post.send(f"person{number}@far.test")
    narrow = with_config(post, site_exchanges_limit=1, site_exchanges_start=1)
    outbound = narrow.start()
    await until(lambda: peer.contents)
    await outbound.drain(2.0)
    rows = await narrow.listed()
    assert len(rows) == 30 - len(peer.contents)
    assert not any(row.is_leased for row in rows)


async def test_while_outbound_is_off_nothing_leaves(post: Post, peer: SmtpPeer) -> None:
    post.is_on = False
    await post.send("bob@far.test")
    async with post.running():
        (row,) = await post.listed()
        assert (row.state, row.held_reason) == (QueueState.HELD, HeldReason.OUTBOUND_OFF)
    post.is_on = True
    async with post.running():
        await post.send("cat@far.test")

        async def has_left() -> bool:
            return [each.address for each in await post.listed()] == ["bob@far.test"]

        await until(has_left)
        await outgoing_acts.release(post.store.database, Chosen(post.company.tenant_id))
        await post.until_empty()


async def test_what_an_administrator_bounces_comes_back_also_while_outbound_is_off(post: Post) -> None:
    post.is_on = False
    await post.send("bob@far.test")
    await outgoing_acts.bounce(post.store.database, Chosen(post.company.tenant_id), "Returned by the administrator")
    async with post.running():
        await post.until_empty()
    (report,) = await Someone(post.store, post.ann).octets()
    assert b"Returned by the administrator" in report


async def test_all_mail_goes_through_a_smarthost_if_there_is_one(post: Post, peer: SmtpPeer) -> None:
    post.smarthost = Smarthost(peer.host, peer.port, Security.NONE, may_be_private=True)
    await post.send("bob@nowhere.test", "cat@far.test")
    async with post.running():
        await post.until_empty()
    assert post.dns.asked == []
    assert sum(len(each.recipients) for each in peer.taken) == 2


async def test_a_long_message_is_sent_whole_to_many_sites(post: Post, peer: SmtpPeer) -> None:
    octets = plain_message(body="\r\n".join(f"line {number} of a long message" for number in range(150_000)))
    assert len(octets) > 4_000_000
    peer.extensions = ("PIPELINING", "8BITMIME", "SIZE 100000000")
    await post.send("bob@far.test", octets=octets)
    async with post.running():
        await post.until_empty(within_s=30)
    assert peer.contents == [octets]


async def test_scheduled_mail_leaves_at_its_time(post: Post, peer: SmtpPeer) -> None:
    await post.send("bob@far.test", held_until=datetime.now(UTC) + timedelta(seconds=0.5))
    began = asyncio.get_running_loop().time()
    async with post.running():
        await until(lambda: peer.contents)
    assert asyncio.get_running_loop().time() - began >= 0.4


async def test_a_company_with_a_smarthost_of_its_own_sends_through_it(post: Post, peer: SmtpPeer) -> None:
    async with SmtpPeer() as relay:
        setting = SmarthostSetting(relay.host, relay.port, "none", None, None)
        await smarthosts.save(post.store.database, post.store.keys, post.company.tenant_id, setting)
        await post.send("bob@far.test")
        trusting = replace(post, smarthosts_may_be_private=True)
        async with trusting.running():
            await post.until_empty()
        assert len(relay.contents) == 1
        assert peer.contents == []


async def test_a_companys_smarthost_does_not_aim_at_our_neighbours(post: Post) -> None:
    async with SmtpPeer() as neighbour:
        setting = SmarthostSetting(neighbour.host, neighbour.port, "none", None, None)
        await smarthosts.save(post.store.database, post.store.keys, post.company.tenant_id, setting)
        await post.send("bob@far.test")
        guarded = replace(post, smarthosts_may_be_private=False)
        async with guarded.running():
            (row,) = await post.until_waiting(attempts=1)
        assert row.reply_enhanced.startswith("4.4.")
        assert neighbour.connections == 0


async def test_mail_of_a_suspended_company_is_held_and_goes_on_with_it(
    post: Post, peer: SmtpPeer, services: RunningServices
) -> None:
    ann = (await asyncio.to_thread(new_person, services)).principal
    company = Company(ann.tenant_id, post.store.database)
    suspended = Post(post.store, company, ann, post.dns, post.port)

    def set_status(status: str) -> None:
        with owner_connection(services) as owner:
            owner.execute("UPDATE tenant SET status = %s WHERE id = %s", [status, ann.tenant_id])

    await asyncio.to_thread(set_status, "suspended")
    await suspended.send("bob@far.test")
    async with suspended.running():

        async def is_held() -> bool:
            return [row.held_reason for row in await suspended.listed()] == [HeldReason.SUSPENDED]

        await until(is_held)
        assert peer.connections == 0
        await asyncio.to_thread(set_status, "active")
        await suspended.until_empty()
    assert len(peer.contents) == 1


async def test_a_message_whose_attempts_never_have_a_result_is_tried_alone_and_then_held(
    post: Post, peer: SmtpPeer, services: RunningServices
) -> None:
    last_chance, beyond = await post.send("bob@far.test"), await post.send("cat@far.test")
    with owner_connection(services) as owner:  # as many processes died with it
        for outgoing_id, deaths in ((last_chance, ASIDE_AFTER - 1), (beyond, ASIDE_AFTER)):
            owner.execute(
                "UPDATE outgoing_recipient SET unsettled_leases = %s WHERE outgoing_id = %s", (deaths, outgoing_id)
            )
    async with post.running():
        await until(lambda: peer.contents)

        async def is_held() -> bool:
            return [row.held_reason for row in await post.listed()] == [HeldReason.ENDS_PROCESSES]

        await until(is_held)
        await outgoing_acts.release(post.store.database, Chosen(post.company.tenant_id))
        await post.until_empty()
    assert len(peer.contents) == 2


class Baffled(Post):
    """Reports to senders run into a bug."""

    async def resolve(self, reverse_path: str) -> Resolution | None:
        raise ZeroDivisionError


async def test_a_report_that_can_never_be_written_is_dropped_and_the_trace_says_so(
    post: Post, peer: SmtpPeer, services: RunningServices
) -> None:
    peer.replies[Stage.RCPT] = "550 5.1.1 Nobody"
    baffled = Baffled(post.store, post.company, post.ann, post.dns, post.port)
    await baffled.send("bob@far.test")

    async def failed_once() -> bool:
        return [(row.state, row.is_leased) for row in await baffled.listed()] == [(QueueState.ENDED, True)]

    async with baffled.running():
        await until(failed_once)
        with owner_connection(services) as owner:
            owner.execute(
                "UPDATE outgoing_recipient SET unsettled_leases = %s, leased_until = now() WHERE tenant_id = %s",
                (DROPPED_AFTER_CLAIMS, post.company.tenant_id),
            )
        await baffled.until_empty()
    with owner_connection(services) as owner:
        dropped = owner.execute(
            "SELECT address, reply_text FROM event WHERE tenant_id = %s AND kind = %s",
            (post.company.tenant_id, EventKind.REPORT_DROPPED),
        ).fetchall()
    assert dropped == [(str(post.ann.address), "ZeroDivisionError")]
