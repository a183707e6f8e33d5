"""What a client is told of changes it makes itself (RFC 8620 §7)."""

from typing import Any

from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conformance.account import Account
from tests.webmail.jmap.streams import event_source
from webmail.jmap.limits import CORE

ALL = {"Email", "EmailDelivery", "Mailbox", "Thread"}


async def test_an_event_source_opens_at_once_and_tells_of_a_draft(account: Account) -> None:
    for query, expected in (
        ("types=*&closeafter=no&ping=0", ALL),
        ("types=Email&closeafter=no&ping=0", {"Email"}),
        ("types=*&closeafter=state&ping=0", ALL),
    ):
        async with event_source(account.jmap, query) as events:
            assert events.status == 200
            assert events.headers["content-type"].startswith("text/event-stream")
            email = await account.draft("inbox")
            told = await events.next()
        assert told is not None
        assert told.data["@type"] == "StateChange"
        assert told.data["changed"][account.jmap.account_id].keys() == expected
        await account.destroy(email)


async def subscriptions(jmap: Jmap, name: str, arguments: Any) -> Any:
    """These methods take no accountId."""
    answer = await jmap.post({"using": [CORE], "methodCalls": [[f"PushSubscription/{name}", arguments, "0"]]})
    return answer.json()["methodResponses"][0][1]


async def test_a_device_subscribes_over_https_only(jmap: Jmap) -> None:
    create = {"x": {"deviceClientId": "phone", "url": "http://push.elsewhere.test/phone"}}
    done = await subscriptions(jmap, "set", {"create": create})
    assert done["notCreated"]["x"] == {**done["notCreated"]["x"], "type": "invalidProperties", "properties": ["url"]}
    told = await subscriptions(jmap, "get", {"ids": ["no-such-subscription"]})
    assert (told["list"], told["notFound"]) == ([], ["no-such-subscription"])
