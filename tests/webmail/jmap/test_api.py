"""The API resource: a batch of calls is posted and answered (RFC 8620 §3)."""

from tests.webmail.jmap.client import Jmap


async def test_an_echo_says_what_it_was_told(jmap: Jmap) -> None:
    assert await jmap.calls(["Core/echo", {"hello": True, "high": 5}, "b3ff"]) == [
        ["Core/echo", {"hello": True, "high": 5}, "b3ff"]
    ]
