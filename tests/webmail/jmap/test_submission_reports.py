"""Reports of the queue that who sent a message got are told of in its submission (RFC 8621 §7: dsnBlobIds)."""

from typing import Any

from mailserver.assembly import Parts
from mailserver.services.queue_reports import QueueReports
from mailserver.services.returns import Writer
from mailserver.services.submission_fates import write_fates_down
from storage.outbox import settle
from storage.outgoing_types import Ending, LastReply, LeasedRecipient, ReportKind, Settlement
from tenants.types import Resolution
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.sending import leaving
from tests.webmail.jmap.test_submissions import draft, envelope, inbox, releases, sent, shown

NOBODY = LastReply(550, "5.1.1", "nobody", "mx.elsewhere.test")


def queue_reports(parts: Parts) -> QueueReports:
    async def resolve(reverse_path: str) -> Resolution | None:
        return await parts.arrivals.resolve(reverse_path, reverse_path="")

    return QueueReports(
        parts.store,
        resolve,
        parts.deliveries,
        Writer("mail.company.test"),
        lease_s=60,
        expire_after_s=60,
        group_s=0,
        look_every_s=60,
        is_outbound_on=True,
        wake_queue=lambda _: None,
    )


async def fail(jmap: Jmap, recipient: LeasedRecipient) -> None:
    failed = Settlement(recipient, Ending.FAILED, NOBODY, report=ReportKind.FAILED)
    assert await settle(jmap.store.database, [failed], report_wait_s=0) == [failed]


async def changed_since(jmap: Jmap, state: str) -> Any:
    return (await jmap.call("EmailSubmission/changes", {"sinceState": state}))["updated"]


async def test_reports_of_the_queue_are_told_of_in_their_order(jmap: Jmap, parts: Parts) -> None:
    made = await sent(jmap, await draft(jmap, to="eve@elsewhere.test, carl@elsewhere.test"))
    assert made["dsnBlobIds"] == []
    reports: list[str] = []
    for recipient in await leaving(jmap.store, jmap.person.principal.tenant_id):
        await fail(jmap, recipient)
        await write_fates_down(jmap.store)
        state = (await jmap.call("EmailSubmission/get", {"ids": []}))["state"]
        await queue_reports(parts).tell()
        assert await changed_since(jmap, state) == [made["id"]]
        *before, last = (await shown(jmap, made["id"]))["dsnBlobIds"]
        assert (before, last in reports) == (reports, False)
        reports.append(last)
    await write_fates_down(jmap.store)
    found = await shown(jmap, made["id"])
    assert {each["delivered"] for each in found["deliveryStatus"].values()} == {"no"}
    emails = (await jmap.call("Email/query", {"filter": {"from": "Mail Delivery"}}))["ids"]
    told = (await jmap.call("Email/get", {"ids": emails, "properties": ["blobId"]}))["list"]
    assert {each["blobId"] for each in told} == set(reports)
    assert found["dsnBlobIds"] == reports
    await jmap.call("Email/set", {"destroy": emails})
    assert (await shown(jmap, made["id"]))["dsnBlobIds"] == []


async def test_what_waited_says_so_in_its_reports(new_jmap: NewJmap, parts: Parts) -> None:
    ann = await new_jmap()
    made = await sent(ann, await draft(ann), envelope=envelope(ann, "eve@elsewhere.test", HOLDFOR="60"))
    await releases(parts).release_due()
    (recipient,) = await leaving(ann.store, ann.person.principal.tenant_id)
    await fail(ann, recipient)
    await queue_reports(parts).tell()
    (report,) = [each for each in await inbox(ann) if b"multipart/report" in each]
    assert b"\r\nFuture-Release-Request: for;60\r\n" in report
    assert len((await shown(ann, made["id"]))["dsnBlobIds"]) == 1
