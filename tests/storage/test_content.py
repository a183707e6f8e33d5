"""A message is rebuilt octet for octet, whole and in any range; what was tampered with is never shown."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.services import messages
from mailserver.services.ingest import divide
from storage.blobs.hot import HotBlobs
from storage.blobs.segments import pack_segments, plan_read, render, unpack_segments
from storage.content import Content
from storage.errors import ContentDamaged
from storage.store import MailStore
from storage.types import Segment, SegmentKind
from tests.conftest import NOON, Company, RunningServices, new_company, plain_message
from tests.letters import attachment, letters, lines_of, multipart
from tests.someone import Someone

LETTERS = dict(letters())
every_letter = pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


def rebuilt(octets: bytes, offset: int, length: int) -> bytes:
    """As Content does, from the divided message in memory."""
    message = divide(octets, NOON)
    header = message.facts.header
    pieces = [header[offset : offset + length]]
    start = offset + len(pieces[0]) - len(header)
    for wanted in plan_read(message.segments, start, length - len(pieces[0])):
        blob = message.blobs[wanted.segment.blob]
        pieces.append(render(wanted, bytes(blob[wanted.offset : wanted.offset + wanted.length])))
    return b"".join(pieces)


@every_letter
def test_dividing_and_rebuilding_is_identity(letter: bytes) -> None:
    assert rebuilt(letter, 0, len(letter)) == letter


@every_letter
def test_segments_survive_packing_and_cover_the_message(letter: bytes) -> None:
    message = divide(letter, NOON)
    body_octets = len(letter) - len(message.facts.header)
    assert unpack_segments(pack_segments(message.segments), body_octets) == message.segments
    assert sum(segment.octets for segment in message.segments) == body_octets
    assert {segment.blob for segment in message.segments} == set(range(len(message.blobs)))


@settings(max_examples=80, deadline=None)
@given(
    octets=st.integers(65_537, 66_000),
    line=st.sampled_from([4, 60, 72, 76, 100]),
    ends=st.booleans(),
    part_of=st.tuples(st.floats(0, 1), st.floats(0, 1) | st.floats(0, 0.005)),
)
def test_any_range_is_that_range_of_the_message(
    octets: int, line: int, ends: bool, part_of: tuple[float, float]
) -> None:
    body = random.Random(octets).randbytes(octets)
    letter = multipart(attachment(lines_of(body, line, ends=ends)), attachment(b"QUJD"))
    offset = int(part_of[0] * len(letter))
    length = int(part_of[1] * (len(letter) - offset))
    assert rebuilt(letter, offset, length) == letter[offset : offset + length]


@given(st.binary(max_size=300))
def test_any_octets_are_a_message(octets: bytes) -> None:
    assert rebuilt(octets, 0, len(octets)) == octets


@given(
    st.lists(
        st.builds(
            Segment,
            st.sampled_from(SegmentKind),
            st.integers(0, 2**16 - 1),
            *[st.integers(0, 2**63)] * 3,
            st.integers(0, 1024),
            st.booleans(),
        ),
        min_size=2,
    )
)
def test_packed_segments_unpack_to_themselves(segments: list[Segment]) -> None:
    assert unpack_segments(pack_segments(segments), 0) == tuple(segments)


@every_letter
async def test_a_stored_message_comes_back(ada: Someone, letter: bytes) -> None:
    await ada.receive(letter)
    assert await ada.octets() == [letter]


async def opened(ada: Someone, letter: bytes) -> Content:
    placed = await ada.receive(letter)
    return await messages.open_content(ada.store, ada.who, placed.message_id)


@pytest.mark.parametrize("name", ["three equal attachments", "of many megabytes", "header longer than its column"])
async def test_ranges_of_a_stored_message(ada: Someone, name: str) -> None:
    letter = LETTERS[name]
    content = await opened(ada, letter)
    edges = {
        0,
        1,
        content.header_octets,
        256 * 1024,
        1024 * 1024,
        1_398_101,
        len(letter) // 2,
        len(letter) - 3,
        len(letter),
    }
    for edge in sorted(edges):
        for offset in (max(0, edge - 2), edge):
            for length in (0, 1, 3, 78, 70_000):
                assert await content.read(offset, length) == letter[offset : offset + length]
    assert await content.read(len(letter) + 10, 5) == b""
    assert await content.read(0, 10**9) == letter


async def test_read_in_steps_a_message_is_itself(ada: Someone) -> None:
    letter = LETTERS["nested"]
    content = await opened(ada, letter)
    read = [await content.read(offset, 65_535) for offset in range(0, len(letter), 65_535)]
    assert b"".join(read) == letter


async def rows(ada: Someone, statement: str, *values: object) -> list[tuple[object, ...]]:
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        cursor = await connection.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description else []


async def test_equal_attachments_are_stored_once_and_decoded(ada: Someone) -> None:
    await ada.receive(LETTERS["three equal attachments"])
    await ada.receive(multipart(attachment(lines_of(b"other" * 20_000, 76, ends=True)), subject="another"))
    await ada.receive(LETTERS["three equal attachments"].replace(b"See attached", b"See below"))
    found = await rows(ada, "SELECT octets FROM blob ORDER BY octets DESC")
    assert [octets for (octets,) in found[:2]] == [300_001, 100_000]
    assert len([octets for (octets,) in found if isinstance(octets, int) and octets > 65_536]) == 2


async def test_a_small_message_is_one_blob_of_one_chunk(ada: Someone) -> None:
    await ada.receive()
    assert await rows(ada, "SELECT octet_length(segments) FROM message") == [(0,)]
    assert await rows(ada, "SELECT chunk FROM blob_content") == [(0,)]


async def test_a_message_that_is_all_header_needs_no_blob(ada: Someone) -> None:
    await ada.receive(b"Subject: header alone\r\n\r\n")
    assert await rows(ada, "SELECT digest FROM blob") == []


LARGE = LETTERS["a binary part"]


TAMPERINGS = {
    "a flipped bit": "UPDATE blob_content SET sealed = set_bit(sealed, 200, 1 - get_bit(sealed, 200))",
    "cut octets": "UPDATE blob_content SET sealed = substr(sealed, 1, 40)",
    "swapped chunks": """UPDATE blob_content c SET sealed = o.sealed FROM blob_content o
                          WHERE o.tenant_id = c.tenant_id AND o.digest = c.digest AND o.chunk = 1 - c.chunk""",
    "the last chunk missing": "DELETE FROM blob_content WHERE chunk = 1",
    "the first chunk missing": "DELETE FROM blob_content WHERE chunk = 0",
    "the blob missing": "DELETE FROM blob",
    "a cut blob": """WITH c AS (DELETE FROM blob_content WHERE chunk = 1)
                     UPDATE blob SET octets = 1048576 WHERE octets > 1048576""",
    "another codec": "UPDATE blob_content SET codec = CASE codec WHEN 2 THEN 1 ELSE 2 END",
    "an unknown codec": "UPDATE blob_content SET codec = 9",
    "a key that is gone": "UPDATE blob_content SET key_id = 99",
}


@pytest.mark.parametrize("statement", TAMPERINGS.values(), ids=TAMPERINGS)
async def test_what_was_tampered_with_is_damaged_and_never_shown(ada: Someone, statement: str) -> None:
    content = await opened(ada, LARGE)
    await rows(ada, statement)
    with pytest.raises(ContentDamaged):
        await content.read(0, len(LARGE))


@pytest.mark.parametrize("statement", [t for n, t in TAMPERINGS.items() if "chunk" not in n and n != "a cut blob"])
async def test_a_small_message_that_was_tampered_with_is_damaged(ada: Someone, statement: str) -> None:
    content = await opened(ada, plain_message(1, body="text " * 100))
    await rows(ada, statement)
    with pytest.raises(ContentDamaged):
        await content.read(0, content.octets)


async def test_a_blob_put_in_anothers_place_is_damaged(ada: Someone) -> None:
    first, second = await opened(ada, plain_message(1, body="first")), await opened(ada, plain_message(2, body="other"))
    await rows(
        ada,
        """
        UPDATE blob_content c SET sealed = o.sealed FROM blob_content o
         WHERE o.tenant_id = c.tenant_id AND o.digest <> c.digest
        """,
    )
    for content in (first, second):
        with pytest.raises(ContentDamaged):
            await content.read(0, content.octets)


async def test_a_header_that_does_not_open_is_damaged(ada: Someone) -> None:
    placed = await ada.receive()
    await rows(ada, "UPDATE message SET header = '\\x0011'")
    with pytest.raises(ContentDamaged):
        await messages.open_content(ada.store, ada.who, placed.message_id)


async def test_octets_sealed_for_one_tenant_do_not_open_for_another(
    services: RunningServices, store: MailStore, company: Company, ada: Someone
) -> None:
    other = await new_company(services, store.database)
    mine, theirs = await store.keys.of(company.tenant_id), await store.keys.of(other.tenant_id)
    blobs = HotBlobs()
    async with store.database.read(company.tenant_id) as connection:
        digest = await blobs.put(connection, mine, b"octets")
    (row,) = await rows(
        ada, "SELECT octets, key_id, codec, sealed FROM blob JOIN blob_content USING (tenant_id, digest)"
    )
    async with store.database.read(other.tenant_id) as connection:
        await connection.execute(
            "INSERT INTO blob VALUES (%s, %s, %s, CURRENT_DATE, now())", (other.tenant_id, digest, row[0])
        )
        await connection.execute(
            "INSERT INTO blob_content VALUES (%s, %s, 0, CURRENT_DATE, %s, %s, %s)", (other.tenant_id, digest, *row[1:])
        )
        with pytest.raises(ContentDamaged):
            await blobs.read(connection, theirs, digest, 0, 6)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 2**20 - 1, 2**20, 2**20 + 1, 2 * 2**20, 3 * 2**20 + 5])
async def test_a_blob_of_any_size_is_read_in_any_range(store: MailStore, company: Company, size: int) -> None:
    octets = (bytes(range(251)) * 20_000)[:size]
    keys, blobs = await store.keys.of(company.tenant_id), HotBlobs()
    async with store.database.read(company.tenant_id) as connection:
        digest = await blobs.put(connection, keys, memoryview(octets))
        for offset, length in ((0, size), (size // 2, size - size // 2), (max(0, size - 1), min(1, size)), (0, 0)):
            assert await blobs.read(connection, keys, digest, offset, length) == octets[offset : offset + length]
        with pytest.raises(ContentDamaged):
            await blobs.read(connection, keys, digest, size, 1)
