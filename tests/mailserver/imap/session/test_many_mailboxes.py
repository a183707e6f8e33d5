"""Thousands of mailboxes, and names and patterns that mean harm."""

import asyncio

from mailserver.imap.session.conversation import Services
from mailserver.imap.session.state import State
from mailserver.services import mailboxes
from storage.store import MailStore
from tenants.types import Principal
from tests.conftest import Company
from tests.imap_services import imap_services
from tests.transcripts.runner import Client, connect

MANY = 3000


async def with_many(store: MailStore, who: Principal, count: int = MANY) -> None:
    await mailboxes.create(store, who, "many")
    async with store.database.transaction(who.tenant_id) as connection:
        await connection.execute(
            """
            INSERT INTO mailbox (tenant_id, id, account_id, name, is_subscribed, uidvalidity)
            SELECT waypost_tenant(%s), nextval('mail_id'), %s, 'many/' || n || repeat('ab', 100), n %% 2 = 0, 1000 + n
              FROM generate_series(1, %s) AS n
            """,
            [who.tenant_id, who.account_id, count],
        )


async def signed_in(services: Services, who: Principal) -> Client:
    client = connect(services)
    client.lines.clear()
    client.talk.who = who
    client.talk.state = State.AUTHENTICATED
    await said(client, b"NOOP")  # from here on the limits are those of somebody who has signed in
    return client


async def said(client: Client, command: bytes) -> list[str]:
    await client.send(b"a " + command + b"\r\n")
    lines, client.lines = client.lines, []
    assert lines[-1].startswith("a "), lines[-1]
    return lines


async def test_thousands_of_mailboxes_are_listed_renamed_and_deleted(store: MailStore, company: Company) -> None:
    who = await company.person()
    async with imap_services(store, store.database) as services:
        client = await signed_in(services, who)
        await with_many(store, who)
        assert len(await said(client, b'LIST "" many/*')) == MANY + 1
        statuses = await said(client, b'LIST "" many/% RETURN (STATUS (MESSAGES SIZE RECENT DELETED-STORAGE))')
        assert len(statuses) == 2 * MANY + 1
        assert len(await said(client, b'LIST (SUBSCRIBED) "" many/*')) == MANY // 2 + 1
        assert (await said(client, b"RENAME many more"))[-1].startswith("a OK")
        assert len(await said(client, b'LIST "" more/*')) == MANY + 1
        assert len(await said(client, b'LIST (SUBSCRIBED) "" many/*')) == MANY // 2 + 1
        assert (await said(client, b"DELETE more"))[-1].startswith("a OK")


async def test_the_most_hostile_patterns_leave_others_their_turn(store: MailStore, company: Company) -> None:
    who = await company.person()
    longest_wait_s = 0.0
    loop = asyncio.get_running_loop()

    async def other() -> None:
        nonlocal longest_wait_s
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            longest_wait_s = max(longest_wait_s, loop.time() - before)

    async with imap_services(store, store.database) as services:
        client = await signed_in(services, who)
        await with_many(store, who, 500)
        patterns = b" ".join(b"*a%" * 100 + b"%d" % number for number in range(20))
        waiting = asyncio.create_task(other())
        assert len(await said(client, b'LIST "" (' + patterns + b")")) == 1
        waiting.cancel()
    assert longest_wait_s < 2


async def test_names_that_mean_harm_are_refused_without_harm(store: MailStore, company: Company) -> None:
    who = await company.person()
    async with imap_services(store, store.database) as services:
        client = await signed_in(services, who)
        for name in (
            b"a" * 60_000,
            b"/".join([b"a"] * 5000),
            b"/" * 5000,
            b"&" * 5000,
            b"&AAA-",
            b"&2D0-",
            b'"\xc0\xaf"',
            b'"\xf4\x90\x80\x80"',
            b'"a\x01b"',
            b'"a\x7fb"',
            '"a\u0085b"'.encode(),
            '"a\u2028b"'.encode(),
        ):
            for command in (b"CREATE %b", b"SELECT %b", b"RENAME INBOX %b", b"STATUS %b (MESSAGES)", b"SUBSCRIBE %b"):
                answer = (await said(client, command % name))[-1]
                assert answer.startswith(("a NO [CANNOT]", "a NO [NONEXISTENT]")), (command, name[:20], answer)
        assert sorted(await names(store, who)) == ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]


async def names(store: MailStore, who: Principal) -> list[str]:
    return [mailbox.name for mailbox in await mailboxes.list_mailboxes(store, who)]
