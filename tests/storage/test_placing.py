"""Placing messages: what is written comes back, once, octet for octet."""

import asyncio

from mailserver.services import messages
from mailserver.services.delivery import Deliveries
from mailserver.services.mailboxes import find
from storage.errors import OverQuota
from storage.rows import Columns
from storage.store import MailStore
from storage.types import Placed
from tenants.types import Principal
from tests.conftest import NOON, Announcements, Company, as_recipient, plain_message


async def inbox_octets(store: MailStore, who: Principal) -> list[bytes]:
    """Every message of the INBOX, whole."""
    inbox = await find(store, who, "INBOX")
    contents = await messages.load_contents(store, who, inbox.id)
    found = []
    async for rows in messages.fetch_rows(store, who, inbox.id, list(contents.uids), Columns.FACTS):
        for row in rows:
            content = await messages.open_content(store, who, row.message_id)
            found.append(await content.read(0, content.octets))
    return found


async def test_a_delivered_message_is_read_back_octet_for_octet(
    store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    ada = await company.person()
    message = plain_message(1)
    (placed,) = await deliveries.deliver(message, [as_recipient(ada)], reverse_path="", received_at=NOON)
    assert isinstance(placed, Placed)
    assert placed.uid == 1
    assert await inbox_octets(store, ada) == [message]


async def test_someone_is_told_after_a_delivery(
    deliveries: Deliveries, company: Company, announcements: Announcements
) -> None:
    ada = await company.person()
    (placed,) = await deliveries.deliver(plain_message(), [as_recipient(ada)], reverse_path="", received_at=NOON)
    assert isinstance(placed, Placed)
    assert announcements.heard == [(ada.tenant_id, ada.account_id, placed.modseq)]


async def test_many_deliveries_at_once_get_uids_without_gaps(
    store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    ada = await company.person()
    sent = [plain_message(number) for number in range(60)]
    placed = await asyncio.gather(
        *(deliveries.deliver(m, [as_recipient(ada)], reverse_path="", received_at=NOON) for m in sent)
    )
    assert sorted(each[0].uid for each in placed if isinstance(each[0], Placed)) == list(range(1, 61))
    assert sorted(await inbox_octets(store, ada)) == sorted(sent)


async def test_a_message_over_quota_is_refused_and_leaves_nothing(
    store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    ada = await company.person(quota_octets=500)
    message = plain_message(1, body="x" * 600)
    (refusal,) = await deliveries.deliver(message, [as_recipient(ada)], reverse_path="", received_at=NOON)
    assert isinstance(refusal, OverQuota)
    assert refusal.limit_octets == 500
    assert await inbox_octets(store, ada) == []
