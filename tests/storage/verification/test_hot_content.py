"""Content in Postgres: whatever happened to a chunk is found, and nothing else is told of."""

import random
from dataclasses import replace

import pytest

from storage.verification.findings import Finding, Kind, Report
from storage.verification.ground import Choice
from storage.verification.hot_content import verify_hot
from storage.verification.slices import Slice
from tests.conftest import plain_message
from tests.letters import letters
from tests.someone import Someone
from tests.storage.verification.damage import Damager

LONG = b"Subject: long\r\n\r\n" + random.Random(1).randbytes(2_600_000).hex().encode()  # a blob of several chunks


async def test_mail_of_every_make_is_found_whole(ada: Someone, damager: Damager) -> None:
    for _, letter in letters():
        await ada.receive(letter)
    looked = await damager.look(rebuilds=True)
    assert looked.findings == []
    assert looked.tally.messages == len(list(letters()))
    (blobs,) = await damager.sql("SELECT count(*), sum(stored_octets) FROM blob WHERE tenant_id = {t}")
    assert looked.tally.hot_blobs == blobs[0]
    assert looked.tally.octets >= blobs[1]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE blob_content SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1)", "chunk 0 of blob"),
        ("UPDATE blob_content SET sealed = substr(sealed, 1, length(sealed) - 1)", "chunk 0 of blob"),
        ("UPDATE blob_content SET sealed = ''", "chunk 0 of blob"),
        ("UPDATE blob_content SET codec = 1 - codec", "chunk 0 of blob"),
        ("UPDATE blob_content SET key_id = 77", "data key 77"),
        ("UPDATE blob_content SET chunk = 1", "chunk 0 is missing"),
        ("DELETE FROM blob_content", "chunk 0 is missing"),
        ("UPDATE blob_content SET content_on = content_on - 7", "chunk 0 is missing"),
        ("UPDATE blob SET octets = octets + 1", "chunk 0 holds"),
        ("UPDATE blob SET digest = set_byte(digest, 3, get_byte(digest, 3) # 1)", "chunk 0 is missing"),
    ],
)
async def test_a_damaged_chunk_is_found(ada: Someone, damager: Damager, damage: str, reason: str) -> None:
    await ada.receive(plain_message())
    await damager.sql(f"{damage} WHERE tenant_id = {{t}}")
    looked = await damager.look(parts=frozenset({"content"}))
    (finding,) = looked.findings
    assert finding.kind is Kind.CONTENT_DAMAGED
    assert reason in str(finding.values["reason"])
    assert finding.values["place"] == "postgres"
    assert finding.values["messages"] == (0 if "digest" in damage.partition("SET")[2] else 1)
    assert not finding.is_repaired


async def test_what_was_sealed_under_another_name_is_no_content(ada: Someone, damager: Damager) -> None:
    """A chunk that opens, under a digest that is not that of its octets: nobody can make it without the keys."""
    keys = await damager.store.keys.of(damager.tenant_id)
    digest = keys.digest(b"what was to be kept")
    sealed = keys.seal(digest, 0, True, 0, b"what is there")
    values = (digest, len(b"what is there"), sealed)
    await damager.sql(
        "INSERT INTO blob (tenant_id, digest, octets, content_on, touched_at)"
        " VALUES ({t}, %s, %s, CURRENT_DATE, now())",
        *values[:2],
    )
    await damager.sql(
        "INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)"
        " VALUES ({t}, %s, 0, CURRENT_DATE, %s, 0, %s)",
        *(digest, keys.current, sealed),
    )
    (finding,) = (await damager.look(parts=frozenset({"content"}))).findings
    assert finding.values["reason"] == "the octets are others than the digest says"


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM blob_content WHERE tenant_id = {t} AND chunk = 2",
        "DELETE FROM blob_content WHERE tenant_id = {t} AND chunk = 4",
        "UPDATE blob_content SET sealed = set_byte(sealed, 9, get_byte(sealed, 9) # 4)"
        " WHERE tenant_id = {t} AND chunk = 3",
        "UPDATE blob_content SET chunk = chunk + 10 WHERE tenant_id = {t} AND chunk IN (1, 2)",
    ],
)
async def test_damage_inside_a_long_blob_is_found(ada: Someone, damager: Damager, damage: str) -> None:
    await ada.receive(LONG)
    assert (await damager.look()).findings == []
    await damager.sql(damage)
    assert (await damager.look(parts=frozenset({"content"}))).kinds == [Kind.CONTENT_DAMAGED]


async def test_a_chunk_too_many_is_found(ada: Someone, damager: Damager) -> None:
    await ada.receive(plain_message())
    await damager.sql(
        "INSERT INTO blob_content SELECT tenant_id, digest, 1, content_on, key_id, codec, sealed FROM blob_content"
        " WHERE tenant_id = {t}"
    )
    (finding,) = (await damager.look(parts=frozenset({"content"}))).findings
    assert finding.values["reason"] == "there are chunks after the last"


async def test_a_wrong_count_of_stored_octets_is_put_right(ada: Someone, damager: Damager) -> None:
    await ada.receive(plain_message())
    await damager.sql("UPDATE blob SET stored_octets = 5 WHERE tenant_id = {t}")
    assert [each.is_repaired for each in (await damager.look(repairs_counts=False)).findings] == [False]
    looked = await damager.look()
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(Kind.STORED_OCTETS, True)]
    assert (await damager.look()).findings == []


async def test_shares_of_the_content_come_to_all_of_it(ada: Someone, damager: Damager) -> None:
    for number in range(60):
        await ada.receive(plain_message(number, body=f"Body {number}"))
    seen = [
        (await damager.look(slice=Slice(0.85 + start / 8, 1 / 8), parts=frozenset({"content"}))).tally.hot_blobs
        for start in range(8)
    ]
    assert sum(seen) == 60
    assert max(seen) < 30
    for number, share in enumerate((0.5, 0.5)):
        looked = await damager.look(slice=Slice(number * 0.5, share))
        assert looked.findings == []


async def test_a_verification_goes_on_where_another_stopped(ada: Someone, damager: Damager) -> None:
    for number in range(20):
        await ada.receive(plain_message(number, body=f"Body {number}"))
    whole = await damager.look()
    assert [position.part for position in whole.positions if position.part] == sorted(
        (position.part for position in whole.positions if position.part),
        key=["counts", "references", "messages", "content", "objects"].index,
    )
    for position in whole.positions:
        rest = await damager.look(begin=position)
        assert rest.findings == []
        if position.part == "content" and position.after:
            assert rest.tally.hot_blobs == 0
            assert rest.tally.messages == 0


async def test_content_that_is_older_is_left_out(ada: Someone, damager: Damager) -> None:
    await ada.receive(plain_message())
    await damager.sql("DELETE FROM blob_content WHERE tenant_id = {t}")
    (today,) = (await damager.sql("SELECT CURRENT_DATE + 1"))[0]
    assert (await damager.look(parts=frozenset({"content"}), since=today)).findings == []


async def test_a_copy_of_another_week_takes_the_place_of_a_damaged_blob(ada: Someone, damager: Damager) -> None:
    await ada.receive(LONG)
    await damager.sql(
        "INSERT INTO blob_content SELECT tenant_id, digest, chunk, content_on - 7, key_id, codec, sealed"
        " FROM blob_content WHERE tenant_id = {t}"
    )
    await damager.sql("UPDATE blob_content SET sealed = '' WHERE tenant_id = {t} AND content_on = CURRENT_DATE")
    assert [each.is_repaired for each in (await damager.look()).findings] == [False]
    looked = await damager.look(uses_copies=True)
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(Kind.CONTENT_DAMAGED, True)]
    assert (await damager.look(rebuilds=True)).findings == []


async def test_a_copy_that_is_damaged_too_is_not_used(ada: Someone, damager: Damager) -> None:
    await ada.receive(LONG)
    await damager.sql(
        "INSERT INTO blob_content SELECT tenant_id, digest, chunk, content_on - 7, key_id, codec,"
        " CASE chunk WHEN 4 THEN ''::bytea ELSE sealed END FROM blob_content WHERE tenant_id = {t}"
    )
    await damager.sql("DELETE FROM blob_content WHERE tenant_id = {t} AND content_on = CURRENT_DATE AND chunk = 1")
    before = await damager.sql("SELECT * FROM blob WHERE tenant_id = {t}")
    looked = await damager.look(uses_copies=True)
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(Kind.CONTENT_DAMAGED, False)]
    assert await damager.sql("SELECT * FROM blob WHERE tenant_id = {t}") == before


async def test_what_was_sealed_with_a_key_made_since_is_whole(ada: Someone, damager: Damager) -> None:
    """As when a data key is rotated while a verification runs that has read the keys before."""
    await ada.receive()
    keys = replace(await damager.store.keys.of(damager.tenant_id), data_keys={}, look_again=lambda: False)
    findings: list[Finding] = []
    ground = damager.ground(Report(findings.append), Choice())
    assert [digest async for digest in verify_hot(ground, keys, b"", b"\xff" * 21)]
    assert findings == []
    assert ground.report.tally.hot_blobs == 1
