"""Uploads and downloads (RFC 8620 §6): what goes in comes out, whole or in part, and is nobody else's."""

import asyncio
import base64
from dataclasses import replace
from urllib.parse import quote

import pytest

from mailserver.assembly import Parts
from mailserver.web import Message, Receive, Send
from tests.letters import TEXT, attachment, lines_of, multipart
from tests.webmail.jmap.client import HttpAnswer, Jmap
from tests.webmail.jmap.conftest import NewJmap
from webmail.jmap.http.application import jmap_application
from webmail.jmap.http.door import HELD_DOWNLOADS, Door
from webmail.jmap.limits import Limits

LONG = bytes(range(256)) * 12_000  # three chunks


async def download(jmap: Jmap, blob: str, *, name: str = "file", kind: str = "", **headers: str) -> HttpAnswer:
    target = f"/jmap/download/{jmap.account_id}/{blob}/{quote(name)}?type={quote(kind)}"
    return await jmap.http("GET", target, headers={each.replace("_", "-"): value for each, value in headers.items()})


async def test_an_upload_says_what_it_is_and_comes_back_as_it_was(jmap: Jmap) -> None:
    target = f"/jmap/upload/{jmap.account_id}/"
    answer = await jmap.http("POST", target, headers={"content-type": "image/png"}, body=LONG)
    assert answer.status == 201
    told = answer.json()
    blob = told.pop("blobId")
    assert told == {"accountId": jmap.account_id, "type": "image/png", "size": len(LONG)}
    got = await download(jmap, blob, kind="image/png", name="dot.png")
    assert got.status == 200
    assert got.body == LONG
    assert len(got.pieces) == 3
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-length"] == str(len(LONG))


@pytest.mark.parametrize("pieces", [[b""], [b"a", b"", b"b" * 2**20], [b"x" * (2**20)], [b"x" * (2**20 + 1)]])
async def test_an_upload_that_comes_in_pieces_is_the_sum_of_them(jmap: Jmap, pieces: list[bytes]) -> None:
    answer = await jmap.http("POST", f"/jmap/upload/{jmap.account_id}/", body=pieces)
    assert answer.json()["size"] == len(b"".join(pieces))
    assert (await download(jmap, answer.json()["blobId"])).body == b"".join(pieces)


async def test_an_upload_that_is_cut_leaves_nothing(jmap: Jmap) -> None:
    answer = await jmap.http("POST", f"/jmap/upload/{jmap.account_id}/", body=[b"x" * 3_000_000, b"y"], is_cut=True)
    assert answer.status == 0
    who = jmap.person.principal
    async with jmap.store.database.read(who.tenant_id) as connection:
        for table in ("upload", "upload_content"):
            cursor = await connection.execute(f"SELECT count(*) FROM {table}".encode())  # noqa: S608
            assert await cursor.fetchone() == (0,)


async def test_more_uploads_at_once_than_one_may_are_refused(jmap: Jmap, parts: Parts) -> None:
    door = replace(jmap, application=jmap_application(Door(parts, replace(Limits(), max_concurrent_upload=1))))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Message, _receive: Receive, send: Send) -> None:
        """Its body comes when the test says so."""

        async def receive() -> Message:
            begun.set()
            await go_on.wait()
            return {"type": "http.request", "body": b"at last", "more_body": False}

        await door.application(scope, receive, send)

    target = f"/jmap/upload/{jmap.account_id}/"
    first = asyncio.create_task(replace(door, application=slow).http("POST", target))
    await begun.wait()
    second = await door.http("POST", target, body=b"x")
    assert (second.status, second.json()["limit"]) == (429, "maxConcurrentUpload")
    go_on.set()
    assert (await first).json()["size"] == 7
    assert (await door.http("POST", target, body=b"x")).status == 201


async def test_the_parts_of_an_uploaded_message_are_blobs(jmap: Jmap) -> None:
    blob = await jmap.upload(multipart(TEXT, attachment(b"aGVsbG8=")), "message/rfc822")
    assert (await download(jmap, f"{blob}-1")).body == b"See attached."
    assert (await download(jmap, f"{blob}-2")).body == b"hello"
    assert (await download(jmap, f"{blob}-3")).status == 404


@pytest.mark.parametrize("is_told", [True, False])
async def test_an_upload_that_is_too_large_is_refused(jmap: Jmap, is_told: bool) -> None:
    headers = {"content-length": str(60_000_000)} if is_told else {}
    pieces = [b"x"] if is_told else [bytes(2**20)] * 51
    answer = await jmap.http("POST", f"/jmap/upload/{jmap.account_id}/", headers=headers, body=pieces)
    assert answer.status == 413
    assert answer.json()["type"] == "urn:ietf:params:jmap:error:limit"
    assert answer.json()["limit"] == "maxSizeUpload"


async def test_few_long_parts_are_held_for_clients_that_take_nothing(jmap: Jmap, parts: Parts) -> None:
    """What must be decoded whole stands in memory until the client has it."""
    head = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    placed = await jmap.receive(head + (b"x" * 70 + b"=\r\n") * 20_000 + b"\r\n")
    target = f"/jmap/download/{jmap.account_id}/BM{placed.message_id}-1/long"
    taking, waiting = asyncio.Event(), asyncio.Semaphore(0)
    application = jmap_application(Door(parts))

    async def slow(scope: Message, receive: Receive, send: Send) -> None:
        async def send_later(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                waiting.release()
                await taking.wait()
            await send(message)

        await application(scope, receive, send_later)

    door = replace(jmap, application=slow)
    downloads = [asyncio.create_task(door.http("GET", target)) for _ in range(HELD_DOWNLOADS)]
    for _ in downloads:
        await waiting.acquire()
    refused = await door.http("GET", target)
    assert (refused.status, refused.json()["limit"]) == (429, "concurrentDownloads")
    taking.set()
    assert {(await each).status for each in downloads} == {200}
    assert len((await door.http("GET", target)).body) > 1024 * 1024


async def test_a_message_and_its_parts_are_blobs(jmap: Jmap) -> None:
    file = bytes(range(256)) * 500  # kept decoded, as a blob of its own
    message = multipart(TEXT, attachment(lines_of(file, 76, ends=True)))
    placed = await jmap.receive(message)
    blob = f"BM{placed.message_id}"
    whole = await download(jmap, blob)
    assert whole.body.endswith(message)
    assert (await download(jmap, f"{blob}-2")).body == file
    assert (await download(jmap, f"{blob}-2", range="bytes=1000-1999")).body == file[1000:2000]
    assert (await download(jmap, f"{blob}-3")).status == 404


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("base64", base64.b64encode(b"caf\xe9" * 1000)), ("quoted-printable", b"caf=E9" * 1000), ("7bit", b"cafe")],
)
async def test_a_part_comes_without_its_transfer_encoding(jmap: Jmap, encoding: str, written: bytes) -> None:
    head = b"Subject: one part\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: " + encoding.encode()
    placed = await jmap.receive(head + b"\r\n\r\n" + written)
    expected = written if encoding == "7bit" else b"caf\xe9" * 1000
    assert (await download(jmap, f"BM{placed.message_id}-1")).body.rstrip(b"\r\n") == expected


async def test_what_is_another_persons_is_not_there(jmap: Jmap, new_jmap: NewJmap) -> None:
    other = await new_jmap()
    placed = await other.receive()
    for blob in (await other.upload(b"secret"), f"BM{placed.message_id}", f"BM{placed.message_id}-1"):
        assert (await download(other, blob)).status == 200
        foreign = await download(jmap, blob)
        unknown = await download(jmap, "BM999999999")
        assert (foreign.status, foreign.body) == (unknown.status, unknown.body) == (404, unknown.body)
        theirs = await jmap.http("GET", f"/jmap/download/{other.account_id}/{blob}/x?type=")
        assert (theirs.status, theirs.body) == (404, unknown.body)
    assert (await jmap.http("POST", f"/jmap/upload/{other.account_id}/", body=b"x")).status == 404


@pytest.mark.parametrize(
    "blob", ["B", "BM0", "BM1-", "BM1-0", "BX1", "M1", "BM99999999999999999999", "BM1-1_", "NIL", "%00"]
)
async def test_what_is_no_blob_id_is_not_there(jmap: Jmap, blob: str) -> None:
    assert (await download(jmap, blob)).status == 404


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-3", 206, 0, 4),
        ("bytes=90-", 206, 90, 100),
        ("bytes=-7", 206, 93, 100),
        ("bytes=90-1000", 206, 90, 100),
        ("bytes=-1000", 206, 0, 100),
        ("bytes=5-4", 200, 0, 100),
        ("bytes=0-1,4-5", 200, 0, 100),
        ("lines=0-3", 200, 0, 100),
        ("bytes=a-b", 200, 0, 100),
    ],
)
async def test_a_range_gives_those_octets(jmap: Jmap, asked: str, status: int, start: int, end: int) -> None:
    octets = bytes(range(100))
    got = await download(jmap, await jmap.upload(octets), range=asked)
    assert (got.status, got.body) == (status, octets[start:end])
    assert got.headers.get("content-range") == (f"bytes {start}-{end - 1}/100" if status == 206 else None)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused(jmap: Jmap, asked: str) -> None:
    got = await download(jmap, await jmap.upload(bytes(100)), range=asked)
    assert got.status == 416
    assert got.headers["content-range"] == "bytes */100"


async def test_a_blob_never_changes_so_it_may_be_kept_for_ever(jmap: Jmap) -> None:
    blob = await jmap.upload(b"for ever")
    got = await download(jmap, blob)
    assert got.headers["cache-control"] == "private, immutable, max-age=31536000"
    again = await download(jmap, blob, if_none_match=f'"other", {got.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")
    assert (await download(jmap, blob, range="bytes=0-2", if_range=got.headers["etag"])).status == 206
    assert (await download(jmap, blob, range="bytes=0-2", if_range='"other"')).status == 200


async def test_a_page_that_somebody_sent_has_no_origin_of_ours(jmap: Jmap) -> None:
    blob = await jmap.upload(b"<script>alert(1)</script>", "text/html")
    got = await download(jmap, blob, kind="text/html", name="page.html")
    assert got.headers["content-type"] == "text/html"
    assert got.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == 'attachment; filename="page.html"'


@pytest.mark.parametrize(
    "kind", ["text/html\r\nset-cookie: a=b", "nonsense", "text/", "a/b; c", "x" * 300 + "/y", "é/x"]
)
async def test_what_is_no_media_type_is_octets(jmap: Jmap, kind: str) -> None:
    got = await download(jmap, await jmap.upload(b"x"), kind=kind)
    assert got.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("报告.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf"),
        ('a"b%c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%25c.txt"),
        ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        ("x\r\nset-cookie: a=b", 'attachment; filename="x__set-cookie: a=b"'),
        ("\u202egpj.exe", 'attachment; filename="_gpj.exe"'),
        ("", 'attachment; filename="download"'),
    ],
)
async def test_a_file_is_saved_under_a_name_that_is_safe(jmap: Jmap, name: str, told: str) -> None:
    target = f"/jmap/download/{jmap.account_id}/{await jmap.upload(b'x')}/{quote(name, safe='')}?type="
    assert (await jmap.http("GET", target)).headers["content-disposition"] == told


async def test_a_head_tells_everything_but_the_octets(jmap: Jmap) -> None:
    got = await jmap.http("HEAD", f"/jmap/download/{jmap.account_id}/{await jmap.upload(b'12345')}/x?type=")
    assert (got.status, got.headers["content-length"], got.body) == (200, "5", b"")


async def test_older_uploads_make_room_for_new_ones(jmap: Jmap) -> None:
    blobs = [await jmap.upload(bytes(50_000_000)) for _ in range(5)]
    found = [(await jmap.http("HEAD", f"/jmap/download/{jmap.account_id}/{blob}/x?type=")).status for blob in blobs]
    assert found == [404, 200, 200, 200, 200]
