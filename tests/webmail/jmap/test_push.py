"""Devices subscribe, verify, and are told once what changed (RFC 8620 §7.2, RFC 8291, RFC 8292, RFC 9749)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mailserver.assembly import Parts
from mailserver.outward_http import OutwardConfig, OutwardHttp
from mailserver.services import web_push as sending
from mailserver.services.oauth import Asked, Issued
from mailserver.services.push_posting import PushPosting
from mailserver.services.state_changes import StateChanges
from mailserver.services.web_push import WebPush
from mailserver.web_push_encryption import decrypt, from_base64, parse_push_keys, public_octets, to_base64
from storage.push_subscriptions import expire_push_subscriptions
from storage.sign_in_ends import end_sign_ins
from storage.tokens import OAuthClient
from tenants.types import Principal, Scope
from tests.conftest import NOON, RunningServices
from tests.mailserver.services.test_oauth import CHALLENGE, VERIFIER
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.push_service import Pushed, PushService, push_service
from tests.webmail.jmap.quotas import set_quota


class Device:
    """A device of somebody, at a push service."""

    def __init__(self, jmap: Jmap, service: PushService, name: str = "phone") -> None:
        self.jmap = jmap
        self.service = service
        self.name = name
        self.id = ""

    async def set(self, **what: Any) -> Any:
        return await call(self.jmap, "PushSubscription/set", what)

    async def create(self, **more: Any) -> Any:
        given = {"deviceClientId": self.name, "url": self.service.url(self.name), **more}
        response = await self.set(create={"new": given})
        assert response["notCreated"] is None, response
        self.id = response["created"]["new"]["id"]
        return response["created"]["new"]

    async def verify(self, code: str) -> Any:
        return await self.set(update={self.id: {"verificationCode": code}})

    async def subscribe(self, **more: Any) -> None:
        await self.create(**more)
        code = (await self.service.next()).json()["verificationCode"]
        assert (await self.verify(code))["updated"] == {self.id: None}

    async def get(self) -> list[Any]:
        found: list[Any] = (await call(self.jmap, "PushSubscription/get", {"ids": None}))["list"]
        return found


async def call(jmap: Jmap, name: str, arguments: dict[str, Any]) -> Any:
    """These methods take no accountId."""
    answer = await jmap.post({"using": ["urn:ietf:params:jmap:core"], "methodCalls": [[name, arguments, "0"]]})
    ((told, found, _),) = answer.json()["methodResponses"]
    return found if told == name else {"error": found}


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with push_service() as running:
        yield running


@pytest.fixture(autouse=True)
async def web_push(parts: Parts) -> AsyncIterator[WebPush]:
    """That of this process; pauses are short."""
    ours = parts.web_push
    outward, web_push = another_process(parts)
    object.__setattr__(parts, "web_push", web_push)
    web_push.start()
    yield web_push
    await web_push.close()
    await outward.close()
    object.__setattr__(parts, "web_push", ours)


def another_process(parts: Parts) -> tuple[OutwardHttp, WebPush]:
    outward = OutwardHttp(OutwardConfig(reach="loopback"))
    changes = StateChanges(parts.store.database, parts.watchers, parts.store.pools)
    posting = PushPosting(parts.store.keys, outward, contact="mailto:postmaster@company.test")
    return outward, WebPush(parts.store.database, parts.store.keys, changes, posting, pause_s=0.1)


def changed(pushed: Pushed, jmap: Jmap) -> set[str]:
    told = pushed.json()
    assert (told["@type"], set(told["changed"])) == ("StateChange", {jmap.account_id})
    return set(told["changed"][jmap.account_id])


async def test_a_device_is_told_of_a_delivery_once_it_has_verified(jmap: Jmap, service: PushService) -> None:
    device = Device(jmap, service)
    created = await device.create()
    verification = (await service.next()).json()
    assert (verification["@type"], verification["pushSubscriptionId"]) == ("PushVerification", created["id"])
    await jmap.receive()  # nobody is told of this
    assert (await device.verify(verification["verificationCode"]))["notUpdated"] is None
    await jmap.receive()
    pushed = await service.next()
    assert changed(pushed, jmap) == {"Email", "EmailDelivery", "Mailbox", "Thread"}
    told = pushed.json()["changed"][jmap.account_id]["Email"]
    assert told == (await jmap.call("Email/get", {"ids": []}))["state"]
    assert (pushed.headers["ttl"], pushed.headers["urgency"]) == ("86400", "normal")
    assert service.pushed.empty()


async def test_what_is_created_is_as_the_rfc_has_it(jmap: Jmap, service: PushService) -> None:
    """RFC 8620 §7.2.3."""
    device = Device(jmap, service, "a889-ffea-910")
    created = await device.create(types=None)
    assert set(created) == {"id", "keys", "expires", "verificationCode"}
    assert await device.get() == [
        {
            "id": created["id"],
            "deviceClientId": "a889-ffea-910",
            "verificationCode": None,
            "expires": created["expires"],
            "types": None,
        }
    ]
    code = (await service.next()).json()["verificationCode"]
    await device.verify(code)
    assert [each["verificationCode"] for each in await device.get()] == [code]


async def test_only_types_that_were_asked_for_are_told(jmap: Jmap, service: PushService) -> None:
    device = Device(jmap, service)
    await device.subscribe(types=["Mailbox", "CalendarEvent"])
    await jmap.receive()
    assert changed(await service.next(), jmap) == {"Mailbox"}


async def test_what_is_used_is_told_where_there_is_a_quota(
    jmap: Jmap, service: PushService, services: RunningServices
) -> None:
    """RFC 9425 §6."""
    await set_quota(services, jmap.person.principal, 1_000_000)
    await Device(jmap, service).subscribe(types=["Quota"])
    placed = await jmap.receive()
    pushed = await service.next()
    assert pushed.json()["changed"] == {jmap.account_id: {"Quota": (await jmap.call("Quota/get"))["state"]}}
    email = f"M{placed.message_id}"
    await jmap.call("Email/set", {"update": {email: {"keywords/$flagged": True}}})  # which is not told
    await jmap.call("Email/set", {"destroy": [email]})
    again = await service.next()
    assert again.json()["changed"] == {jmap.account_id: {"Quota": (await jmap.call("Quota/get"))["state"]}}
    assert again.json() != pushed.json()


async def test_a_code_that_the_push_service_rejects_is_not_sent_again(
    jmap: Jmap, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9749 §6."""
    monkeypatch.setattr(sending, "_CODE_RETRIES_S", (0.0, 0.0))
    monkeypatch.setattr(sending, "CODES_AT_ONCE", 1)
    service.statuses.append(403)
    await Device(jmap, service).create()
    tablet = Device(jmap, service, "tablet")
    given = {"deviceClientId": tablet.name, "url": service.url(tablet.name)}

    async def is_refused() -> bool:  # as long as the first is under way
        return (await tablet.set(create={"new": given}))["notCreated"] is not None

    await until(is_refused, False)
    assert [(await service.next()).path for _ in range(2)] == ["/push/phone", "/push/tablet"]
    assert service.pushed.empty()


async def test_messages_are_sealed_for_a_device_that_gave_keys(jmap: Jmap, service: PushService) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    keys = {"p256dh": to_base64(public_octets(private_key)), "auth": to_base64(b"a secret of ours")}
    device = Device(jmap, service)
    await device.create(keys=keys)
    pushed = await service.next()
    assert pushed.headers["content-encoding"] == "aes128gcm"
    opened = replace(pushed, body=decrypt(pushed.body, parse_push_keys(**keys), private_key))
    await device.verify(opened.json()["verificationCode"])
    await jmap.receive()
    pushed = await service.next()
    opened = replace(pushed, body=decrypt(pushed.body, parse_push_keys(**keys), private_key))
    assert "EmailDelivery" in changed(opened, jmap)


async def test_push_services_know_the_installation_by_the_key_in_the_session(
    jmap: Jmap, service: PushService, web_push: WebPush
) -> None:
    session = (await jmap.http("GET", "/jmap/session")).json()
    told = session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"]
    assert (told, len(from_base64(told))) == (web_push.posting.public_key, 65)
    await Device(jmap, service).create()
    assert (await service.next()).headers["authorization"].endswith(f", k={told}")


async def test_several_processes_tell_a_device_once(jmap: Jmap, service: PushService, parts: Parts) -> None:
    device = Device(jmap, service)
    await device.subscribe()
    others = [another_process(parts) for _ in range(3)]
    who = jmap.person.principal
    for _, other in others:
        other.start()
        other.subscribed(who.tenant_id, who.account_id)
    await jmap.receive()
    newest = (await jmap.call("Email/get", {"ids": []}))["state"]
    assert (await service.next()).json()["changed"][jmap.account_id]["Email"] == newest
    await jmap.receive()
    newest = (await jmap.call("Email/get", {"ids": []}))["state"]
    assert (await service.next()).json()["changed"][jmap.account_id]["Email"] == newest
    for outward, other in others:
        await other.close()
        await outward.close()
    assert service.pushed.empty()


async def test_another_process_takes_over_where_one_ended(
    jmap: Jmap, service: PushService, parts: Parts, web_push: WebPush
) -> None:
    await Device(jmap, service).subscribe()
    await web_push.close()
    await jmap.receive()
    outward, other = another_process(parts)
    other.start()
    assert "EmailDelivery" in changed(await service.next(), jmap)
    await other.close()
    await outward.close()


async def test_a_code_that_is_wrong_verifies_nothing(jmap: Jmap, service: PushService) -> None:
    device = Device(jmap, service)
    await device.create()
    await service.next()
    for wrong in ("", "0" * 32, None, 5):
        refused = (await device.verify(wrong))["notUpdated"][device.id]  # type: ignore[arg-type]
        assert (refused["type"], refused["properties"]) == ("invalidProperties", ["verificationCode"])
    assert (await device.get())[0]["verificationCode"] is None


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"url": "http://push.example/"}, None),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"url": "https://user@push.example/"}, "url"),
        ({"url": "https://push.example/#x"}, "url"),
        ({"url": "https://push.example/" + "x" * 2_000}, "url"),
        ({"url": 5}, "url"),
        ({"deviceClientId": ""}, "deviceClientId"),
        ({"deviceClientId": None}, "deviceClientId"),
        ({"keys": {}}, "keys"),
        ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "keys"),
        ({"verificationCode": "x"}, "verificationCode"),
        ({"expires": "2001-01-01T00:00:00Z"}, "expires"),
        ({"expires": "tomorrow"}, "expires"),
        ({"types": "Email"}, "types"),
        ({"types": [5]}, "types"),
        ({"id": "P1"}, "id"),
        ({"color": "red"}, "color"),
    ],
)
async def test_what_cannot_be_is_not_created(
    jmap: Jmap, service: PushService, given: dict[str, Any], wrong: str | None
) -> None:
    whole = {"deviceClientId": "phone", "url": service.url("phone"), **given}
    response = await call(jmap, "PushSubscription/set", {"create": {"new": whole}})
    if wrong is None:
        assert response["created"] is not None  # on this machine, for tests
    else:
        error = response["notCreated"]["new"]
        assert (error["type"], error["properties"]) == ("invalidProperties", [wrong])


def test_outside_of_tests_a_url_begins_with_https() -> None:
    outward = OutwardHttp(OutwardConfig())
    assert not outward.allows("http://push.example/", https_only=True)


async def test_a_subscription_lives_so_long_and_no_longer(jmap: Jmap, service: PushService) -> None:
    device = Device(jmap, service)
    created = await device.create(expires="2999-01-01T00:00:00Z")
    most = datetime.fromisoformat(created["expires"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < most <= timedelta(days=30)
    week = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (await device.set(update={device.id: {"expires": week}}))["updated"] == {device.id: None}
    assert (await device.get())[0]["expires"] == week
    longer = await device.set(update={device.id: {"expires": "2999-01-01T00:00:00Z"}})
    assert set(longer["updated"][device.id]) == {"expires"}


async def test_one_that_nobody_verified_within_a_day_goes(jmap: Jmap, service: PushService, parts: Parts) -> None:
    device = Device(jmap, service)
    await device.create()
    who = jmap.person.principal
    async with parts.store.database.transaction(who.tenant_id) as connection:
        await connection.execute(
            "UPDATE push_subscription SET not_before = now() - interval '25 hours' WHERE account_id = %s",
            (who.account_id,),
        )
    assert await expire_push_subscriptions(parts.store.database) == 1
    assert await device.get() == []


async def test_url_and_keys_are_not_shown_nor_changed(jmap: Jmap, service: PushService) -> None:
    device = Device(jmap, service)
    await device.create()
    for name in ("url", "keys"):
        refused = await call(jmap, "PushSubscription/get", {"ids": None, "properties": ["id", name]})
        assert refused["error"]["type"] == "forbidden"
        response = await device.set(update={device.id: {name: None}})
        assert response["notUpdated"][device.id]["type"] == "invalidProperties"


async def test_what_others_subscribed_is_not_there(new_jmap: NewJmap, service: PushService) -> None:
    mine, theirs = Device(await new_jmap(), service), Device(await new_jmap(), service)
    await theirs.create()
    found = await call(mine.jmap, "PushSubscription/get", {"ids": [theirs.id, "P999999", "x"]})
    assert found == {"list": [], "notFound": [theirs.id, "P999999", "x"]}
    response = await mine.set(update={theirs.id: {"types": None}}, destroy=[theirs.id])
    assert response["notUpdated"][theirs.id] == {"type": "notFound"}
    assert response["notDestroyed"][theirs.id] == {"type": "notFound"}
    assert len(await theirs.get()) == 1


async def test_what_is_destroyed_is_told_nothing(jmap: Jmap, service: PushService) -> None:
    device = Device(jmap, service)
    other = Device(jmap, service, "tablet")
    await device.subscribe()
    await other.subscribe()
    assert (await device.set(destroy=[device.id]))["destroyed"] == [device.id]
    await jmap.receive()
    assert (await service.next()).path == "/push/tablet"
    assert [each["id"] for each in await device.get()] == [other.id]


@pytest.mark.parametrize("status", [404, 410])
async def test_one_that_its_push_service_does_not_know_any_more_is_forgotten(
    jmap: Jmap, service: PushService, status: int
) -> None:
    device = Device(jmap, service)
    await device.subscribe()
    service.statuses.append(status)
    await jmap.receive()
    await service.next()
    await until(lambda: device.get(), [])


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_push_service_in_trouble_is_asked_again_later_and_told_the_newest(
    jmap: Jmap, service: PushService, status: int
) -> None:
    device = Device(jmap, service)
    await device.subscribe()
    service.statuses.append(status)
    service.headers["retry-after"] = "1"
    await jmap.receive()
    first = await service.next()
    await jmap.receive()
    again = await service.next()
    newest = (await jmap.call("Email/get", {"ids": []}))["state"]
    assert changed(first, jmap) == changed(again, jmap)
    assert again.json()["changed"][jmap.account_id]["Email"] == newest


async def test_a_subscription_ends_with_the_credentials_that_made_it(
    jmap: Jmap, service: PushService, parts: Parts
) -> None:
    device = Device(jmap, service)
    await device.subscribe()
    who = jmap.person.principal
    async with parts.store.database.directory() as connection:
        await end_sign_ins(connection, who.tenant_id, who.account_id)
    await jmap.receive()

    async def left() -> list[Any]:
        async with parts.store.database.read(who.tenant_id) as connection:
            rows = await connection.execute("SELECT id FROM push_subscription WHERE account_id = %s", (who.account_id,))
            return await rows.fetchall()

    await until(left, [])
    assert service.pushed.empty()


@dataclass(frozen=True, slots=True)
class Program(Jmap):
    """Of the same person's, with a token."""

    token: str = ""

    @property
    def authorization(self) -> str:
        return f"Bearer {self.token}"


async def leave(parts: Parts, who: Principal) -> Issued:
    place = "https://pusher.example/"
    asked = Asked(OAuthClient("pusher", "Pusher", (place,)), place, frozenset({Scope.JMAP}), CHALLENGE)
    return await parts.oauth.redeem("pusher", await parts.oauth.allow(who, asked, network=""), place, VERIFIER)


async def test_each_credential_has_its_own_and_with_it_they_end(
    jmap: Jmap, service: PushService, parts: Parts, services: RunningServices
) -> None:
    """RFC 8620 §7.2: a token's are not the person's own, nor those of another; each ends with its own."""
    who = jmap.person.principal
    async with await psycopg.AsyncConnection.connect(services.owner_url, autocommit=True) as owner:
        await owner.execute(
            "INSERT INTO oauth_client (client_id, name, redirect_uris) VALUES ('pusher', 'Pusher', '{}')"
            " ON CONFLICT DO NOTHING"
        )
        script = await parts.logins.tokens.make(who, "script", {Scope.JMAP}, lasts=None, now=NOON, network="")
        first, second = [await leave(parts, who) for _ in range(2)]
        tokens = {"script": script or "", "first": first.access_token, "second": second.access_token}
        people = {name: Program(jmap.application, jmap.person, jmap.store, token=tokens[name]) for name in tokens}
        devices = {name: Device(one, service, name) for name, one in {"own": jmap, **people}.items()}
        for device in devices.values():
            await device.subscribe()
        assert {len(await device.get()) for device in devices.values()} == {1}
        refreshed = await parts.oauth.refresh("pusher", first.refresh_token, "")
        again = replace(people["first"], token=refreshed.access_token)
        assert await Device(again, service).get() == await devices["first"].get()

        async def left() -> set[str]:
            rows = await owner.execute(
                "SELECT device_client_id FROM push_subscription WHERE account_id = %s", (who.account_id,)
            )
            return {name for (name,) in await rows.fetchall()}

        async def are_told(*names: str) -> None:
            """These hear of a change, and the subscriptions of the others go."""
            await jmap.receive()
            assert {(await service.next()).path.rpartition("/")[2] for _ in names} == set(names)
            await until(left, set(names))
            assert service.pushed.empty()

        await are_told("own", "script", "first", "second")
        await parts.oauth.revoke("pusher", refreshed.access_token)
        await are_told("own", "script", "second")
        expire = "UPDATE bearer_token SET expires_at = now() WHERE account_id = %s"
        await owner.execute(f"{expire} AND grant_id IS NOT NULL".encode(), (who.account_id,))
        await are_told("own", "script", "second")  # the program refreshes its leave
        await owner.execute(expire.encode(), (who.account_id,))
        await are_told("own", "second")


async def test_url_and_keys_rest_sealed(jmap: Jmap, service: PushService, parts: Parts) -> None:
    await Device(jmap, service, "sealed").create()
    who = jmap.person.principal
    async with parts.store.database.read(who.tenant_id) as connection:
        row = await (
            await connection.execute("SELECT * FROM push_subscription WHERE account_id = %s", (who.account_id,))
        ).fetchone()
    assert row is not None
    assert service.url("sealed") not in repr(row)


async def test_who_makes_too_many_is_asked_to_wait(
    jmap: Jmap, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CODES_IN_AN_HOUR", 2)
    device = Device(jmap, service)
    await device.create()
    await device.create()
    given = {"deviceClientId": "phone", "url": service.url("phone")}
    response = await device.set(create={"new": given})
    assert response["notCreated"]["new"]["type"] == "rateLimit"


async def until(read: Any, wanted: Any) -> None:
    """Wait for what another task is about to do."""
    for _ in range(500):
        if await read() == wanted:
            return
    raise AssertionError(f"it is {await read()}, not {wanted}")
