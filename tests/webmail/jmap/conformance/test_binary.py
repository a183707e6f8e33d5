"""What goes up and comes down (RFC 8620 §6)."""

from urllib.parse import quote, urlsplit

from tests.webmail.jmap.client import HttpAnswer, Jmap
from tests.webmail.jmap.conformance.account import LETTERS, Account


async def test_an_upload_is_what_it_was_said_to_be(jmap: Jmap) -> None:
    for octets, media_type in (
        (b"Hello", "text/plain"),
        (b"<p>Hello</p>", "text/html"),
        (b"\x00\x01\xff\xfe", "application/octet-stream"),
        (bytes(range(256)) * 400, "application/octet-stream"),
    ):
        answer = await jmap.http(
            "POST", f"/jmap/upload/{jmap.account_id}/", headers={"content-type": media_type}, body=octets
        )
        told = answer.json()
        assert (told["accountId"], told["type"], told["size"]) == (jmap.account_id, media_type, len(octets))
        assert 0 < len(told["blobId"]) <= 255
        down = await download(jmap, told["blobId"], "application/x-anything")
        assert (down.status, down.body) == (200, octets)
        assert down.headers["content-type"].startswith("application/x-anything")


async def download(jmap: Jmap, blob: str, media_type: str) -> HttpAnswer:
    """From where the session says."""
    address: str = (await jmap.http("GET", "/jmap/session")).json()["downloadUrl"]
    for name, value in (("accountId", jmap.account_id), ("blobId", blob), ("name", "a b.txt"), ("type", media_type)):
        address = address.replace(f"{{{name}}}", quote(value, safe=""))
    parts = urlsplit(address)
    return await jmap.http("GET", f"{parts.path}?{parts.query}")


async def test_an_email_is_a_blob(account: Account) -> None:
    shown = await account.email("plain", "blobId")
    assert (await download(account.jmap, shown["blobId"], "message/rfc822")).body == LETTERS["plain"].octets


async def test_a_blob_that_is_not_there_is_not_found(jmap: Jmap) -> None:
    assert (await download(jmap, "no-such-blob", "text/plain")).status == 404


async def test_within_one_account_nothing_is_copied(jmap: Jmap) -> None:
    refused = await jmap.refusal("Blob/copy", {"fromAccountId": jmap.account_id, "blobIds": ["no-such-blob"]})
    assert refused["type"] == "invalidArguments"
