"""Images of elsewhere: only what we wrote into somebody's message, only pictures, and nothing told of the person."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mailserver.assembly import Parts
from mailserver.outward_http import OutwardConfig, OutwardHttp
from mailserver.web import Application
from tenants.types import AccountId
from tests.webmail.jmap.client import HttpAnswer, Jmap, ask
from tests.webmail.message_html.pictures import PNG, SVG, PictureServer, answer, picture_server
from tests.webmail.message_html.test_door import html_message, images_of, read, receive
from webmail.message_html.door import MessageDoor, open_door
from webmail.message_html.image_proxy import MOST_OCTETS, Images
from webmail.message_html.places import Places, TooManyWaiting
from webmail.message_html.signatures import DAY_S, Permitted, RemoteImage

ANSWERS = {
    "/dot.png": answer(PNG, "Content-Type: text/html", "Set-Cookie: a=b", "Refresh: 0;url=http://tracker.test"),
    "/drawing.png": answer(SVG, "Content-Type: image/png"),
    "/page.png": answer(b"<html><script>alert(1)</script></html>", "Content-Type: image/png"),
    "/moved": answer(b"", "Location: /dot.png", status="302 Found"),
    "/round": answer(b"", "Location: /round", status="302 Found"),
    "/to-a-file": answer(b"", "Location: file:///etc/passwd", status="302 Found"),
    "/large.png": answer(PNG + bytes(MOST_OCTETS)),
    "/packed.png": answer(PNG, "Content-Encoding: gzip"),
    "/error.png": answer(PNG, status="500 Oops"),
    "/cut.png": answer(PNG)[:-5].replace(b"Content-Length: 70", b"Content-Length: 900"),
}


@pytest.fixture
async def pictures() -> AsyncIterator[PictureServer]:
    async with picture_server(ANSWERS) as serving:
        yield serving


async def fetch(reader: Jmap, url: str) -> HttpAnswer:
    """The image at a URL that stands in a message."""
    email = await receive(reader, html_message(f'<img src="{url}">'))
    (path,) = images_of(await read(reader, email, query="?images=remote"))
    return await ask(
        reader.application, "GET", path, headers={"cookie": "a=b", "referer": "https://mail.company.test/"}
    )


async def test_an_image_is_fetched_without_a_word_about_the_person(reader: Jmap, pictures: PictureServer) -> None:
    image = await fetch(reader, pictures.url + "/dot.png")
    assert (image.status, image.body, image.headers["content-type"]) == (200, PNG, "image/png")
    assert image.headers["cache-control"] == "private, max-age=86400"
    assert not {"set-cookie", "refresh"} & image.headers.keys()
    (request,) = pictures.requests
    assert request.startswith("GET /dot.png HTTP/1.1\r\n")
    names = {line.partition(":")[0].lower() for line in request.splitlines()[1:] if line}
    assert names == {"host", "user-agent", "accept", "accept-encoding"}


async def test_a_redirect_is_followed(reader: Jmap, pictures: PictureServer) -> None:
    assert (await fetch(reader, pictures.url + "/moved")).body == PNG


@pytest.mark.parametrize(
    "path",
    ["/drawing.png", "/page.png", "/nothing", "/round", "/to-a-file", "/large.png", "/error.png", "/cut.png"],
)
async def test_what_is_no_picture_is_one_and_the_same_refusal(reader: Jmap, pictures: PictureServer, path: str) -> None:
    image = await fetch(reader, pictures.url + path)
    assert (image.status, image.body) == (404, b"")
    assert "content-type" not in image.headers


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "localhost.", "LOCALHOST", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "2130706433",
        "0x7f000001", "0177.0.0.1", "127.1", "0", "127.0.0.1.",
    ],
)  # fmt: skip
async def test_this_machine_is_never_asked_however_it_is_named(
    reader: Jmap, parts: Parts, pictures: PictureServer, host: str
) -> None:
    outward = OutwardHttp(OutwardConfig())
    guarded = replace(reader, application=open_door(replace(parts, outward=outward)))
    assert (await fetch(guarded, f"http://{host}:{pictures.url.rpartition(':')[2]}/dot.png")).status == 404
    assert pictures.requests == []
    await outward.close()


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "192.168.1.1", "[fd00::1]", "[64:ff9b::a00:1]"])
async def test_nothing_inside_a_network_is_asked(reader: Jmap, host: str) -> None:
    assert (await fetch(reader, f"http://{host}/latest/meta-data")).status == 404


async def test_a_redirect_inside_is_not_followed(reader: Jmap, parts: Parts, pictures: PictureServer) -> None:
    """The first host may be asked, the second may not."""
    away = {"/away": answer(b"", "Location: http://10.0.0.1/x.png", status="302 Found")}
    async with picture_server(away) as serving:
        assert (await fetch(reader, serving.url + "/away")).status == 404


def application_at(parts: Parts, seconds: float) -> Application:
    return MessageDoor(parts, Images(parts, clock=lambda: seconds)).answer


async def test_a_path_is_good_for_two_days_and_only_as_it_was_written(
    reader: Jmap, parts: Parts, pictures: PictureServer
) -> None:
    who = reader.person.principal
    noon = 20_000.5 * DAY_S
    images = Images(parts, clock=lambda: noon)
    path = images.signer()(Permitted(who.tenant_id, who.account_id, RemoteImage(pictures.url + "/dot.png")))

    async def status(path: str, seconds: float = noon) -> int:
        return (await ask(application_at(parts, seconds), "GET", path)).status

    assert await status(path) == 200
    assert await status(path, noon + DAY_S) == 200
    assert await status(path, noon + 2 * DAY_S) == 404
    assert await status(path, noon - DAY_S) == 404
    head, _, name = path.partition("/remote/")
    account = str(who.account_id)
    for other in (
        head + "/remote/" + name[:-4] + "AAAA",
        path.replace(f".{account}.", f".{int(account) + 1}.", 1),
        path.replace("20000", "20001", 1),
        head[:-3] + "AAA/remote/" + name,
        path + "/",
        path + "=",
        "/image/" + name,
        "/image/",
    ):
        assert await status(other) == 404
    assert len(pictures.requests) == 2


async def test_two_documents_of_a_day_have_the_same_paths(reader: Jmap) -> None:
    email = await receive(reader, html_message('<img src="http://shop.test/a.png">'))
    first = images_of(await read(reader, email, query="?images=remote"))
    assert images_of(await read(reader, email, query="?images=remote")) == first


async def test_of_one_person_a_few_are_fetched_at_once_and_of_others_too() -> None:
    places = Places(3, of_one=2, waiting_of_one=4)
    ann, bob = AccountId(1), AccountId(2)
    entered: asyncio.Queue[str] = asyncio.Queue()
    leave = asyncio.Event()

    async def take(who: AccountId, name: str) -> None:
        async with places.one(who):
            entered.put_nowait(name)
            await leave.wait()

    async with asyncio.TaskGroup() as tasks:
        for who, name in ((ann, "ann 1"), (ann, "ann 2"), (ann, "ann 3"), (ann, "ann 4"), (bob, "bob 1")):
            tasks.create_task(take(who, name))
        assert [await entered.get() for _ in range(3)] == ["ann 1", "ann 2", "bob 1"]
        with pytest.raises(TooManyWaiting):
            await take(ann, "ann 5")
        leave.set()
    assert [entered.get_nowait() for _ in range(2)] == ["ann 3", "ann 4"]
    await take(ann, "ann 6")
