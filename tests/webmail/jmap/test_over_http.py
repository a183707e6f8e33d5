"""The web role's own server, with Django behind and JMAP before it, over a socket."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.web_role import PATIENCE_S
from webmail.jmap.limits import CORE


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


async def fetch(
    web_port: int,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | Iterator[bytes] | None = None,
) -> Got:
    def ask() -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", web_port, timeout=PATIENCE_S)
        try:
            connection.request(
                method, path, body, headers or {}, encode_chunked=body is not None and not isinstance(body, bytes)
            )
            answer = connection.getresponse()
            return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def test_a_session_is_found_where_clients_look_and_answers(jmap: Jmap, web_port: int) -> None:
    mine = {"Authorization": jmap.authorization}
    session = json.loads((await fetch(web_port, "GET", "/.well-known/jmap", mine)).body)
    assert session["apiUrl"] == f"http://127.0.0.1:{web_port}/jmap/api/"
    request = json.dumps({"using": [CORE], "methodCalls": [["Core/echo", {"a": "好"}, "0"]]}).encode()
    answer = await fetch(web_port, "POST", "/jmap/api/", {**mine, "Content-Type": "application/json"}, request)
    assert json.loads(answer.body)["methodResponses"] == [["Core/echo", {"a": "好"}, "0"]]


async def test_a_file_goes_up_in_chunks_and_comes_down_in_parts(jmap: Jmap, web_port: int) -> None:
    mine = {"Authorization": jmap.authorization, "Transfer-Encoding": "chunked"}
    octets = bytes(range(256)) * 20_000
    pieces = (octets[at : at + 100_000] for at in range(0, len(octets), 100_000))
    told = json.loads((await fetch(web_port, "POST", f"/jmap/upload/{jmap.account_id}/", mine, pieces)).body)
    assert told["size"] == len(octets)
    path = f"/jmap/download/{jmap.account_id}/{told['blobId']}/{quote('a/b 报告.bin', safe='')}?type=image/png"
    mine = {"Authorization": jmap.authorization}
    whole = await fetch(web_port, "GET", path, mine)
    assert (whole.status, whole.body) == (200, octets)
    assert whole.headers["content-disposition"].endswith("UTF-8''a_b%20%E6%8A%A5%E5%91%8A.bin")
    part = await fetch(web_port, "GET", path, {**mine, "Range": "bytes=1048570-1048580"})
    assert (part.status, part.body) == (206, octets[1048570:1048581])
    head = await fetch(web_port, "HEAD", path, mine)
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(octets)), b"")


async def test_a_body_that_is_too_large_is_refused_at_once(jmap: Jmap, web_port: int) -> None:
    headers = {"Authorization": jmap.authorization, "Content-Length": "100000000"}
    answer = await fetch(web_port, "POST", f"/jmap/upload/{jmap.account_id}/", headers, b"x")
    assert (answer.status, json.loads(answer.body)["limit"]) == (413, "maxSizeUpload")


async def test_pages_and_probes_are_there_beside_it(web_port: int) -> None:
    assert (await fetch(web_port, "GET", "/healthz", {"Host": "localhost"})).status == 200
    assert (await fetch(web_port, "GET", "/nothing", {"Host": "localhost"})).status == 404
    assert (await fetch(web_port, "GET", "/jmap/session")).status == 401
