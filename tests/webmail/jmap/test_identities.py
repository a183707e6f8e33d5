"""Identity/get, changes, set (RFC 8621 §6)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from mailserver.assembly import Parts
from mailserver.services.account_view import AccountView
from mailserver.services.account_views import AccountViews
from mailserver.services.addresses import Recipients
from mailserver.services.identities import identities
from storage import identities as stored
from storage.identities import ChangedRow
from storage.store import MailStore
from storage.types import Modseq
from tenants.types import Principal
from tests.conftest import RunningServices
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.sending import add_alias, remove_alias
from webmail.jmap import identity_methods
from webmail.jmap.limits import SUBMISSION, Limits
from webmail.jmap.method import Context
from webmail.jmap.row_changes import SetResults, states_around_rows, told_row_changes
from webmail.jmap.standard import StandardChanges


async def only(jmap: Jmap) -> Any:
    (identity,) = (await jmap.call("Identity/get", {"ids": None}))["list"]
    return identity


async def test_everybody_has_one_for_their_address(jmap: Jmap) -> None:
    identity = await only(jmap)
    assert identity["id"].startswith("I")
    assert {**identity, "id": ""} == {
        "id": "",
        "name": "Ann",
        "email": jmap.person.address,
        "replyTo": None,
        "bcc": None,
        "textSignature": "",
        "htmlSignature": "",
        "mayDelete": False,
    }
    assert await only(jmap) == identity, "it is the same each time"


async def test_an_alias_has_one_as_long_as_it_is_there(jmap: Jmap, services: RunningServices) -> None:
    who, store = jmap.person.principal, jmap.store
    alias = await add_alias(services, who, "sales")
    found = await identities(store, Recipients(store), who)
    assert [each.email for each in found] == [jmap.person.address, alias]
    await remove_alias(services, who, "sales")
    assert await identities(store, Recipients(store), who) == found[:1]
    state = (await jmap.call("Identity/get"))["state"]
    epoch, _, modseq = state.partition("-")
    changes = await jmap.call("Identity/changes", {"sinceState": f"{epoch}-{int(modseq) - 1}"})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [], [f"I{found[1].id}"])


async def test_one_that_is_changed_while_somebody_asks_what_changed(jmap: Jmap, parts: Parts) -> None:
    """Rows are read after the account: what was made before that and changed after it is told as made."""
    who = jmap.person.principal
    identity = await only(jmap)
    state = (await jmap.call("Identity/get"))["state"]
    new = {"email": identity["email"], "name": "First"}
    made = (await jmap.call("Identity/set", {"create": {"a": new}}))["created"]["a"]["id"]

    async def read(since: Modseq) -> list[ChangedRow]:
        await jmap.call("Identity/set", {"update": {made: {"name": "Second"}}})
        async with jmap.store.database.read(who.tenant_id) as connection:
            return await stored.changed(connection, who.tenant_id, who.account_id, since)

    context = Context(parts, who, Limits(), frozenset({SUBMISSION}))
    asked = StandardChanges(state, None)
    told = await told_row_changes(context, asked, "Identity", read, lambda each: f"I{each}")
    assert (told["created"], told["updated"], told["hasMoreChanges"]) == ([made], [], False)
    later = await jmap.call("Identity/changes", {"sinceState": told["newState"]})
    assert (later["created"], later["updated"]) == ([], [])
    assert told["newState"] == (await jmap.call("Identity/get"))["state"]


class Hastening(AccountViews):
    """Somebody else is at work just before the account is looked at for the n-th time."""

    def __init__(self, store: MailStore, deed: Callable[[], Awaitable[Any]], at: int) -> None:
        super().__init__(store)
        self._deed, self._at = deed, at

    async def of(self, who: Principal) -> AccountView:
        self._at -= 1
        if self._at == 0:
            await self._deed()
        return await super().of(who)


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_one_that_is_changed_while_it_is_read_is_told_with_its_own_state(
    jmap: Jmap, parts: Parts, at: int
) -> None:
    identity = await only(jmap)
    who = jmap.person.principal

    async def rename() -> None:
        await jmap.call("Identity/set", {"update": {identity["id"]: {"name": "Later"}}})

    hastening = replace(parts, account_views=Hastening(parts.store, rename, at))
    context = Context(hastening, who, Limits(), frozenset({SUBMISSION}))
    told = await identity_methods.get(context, {"accountId": context.account_id})
    if told["state"] == (await jmap.call("Identity/get"))["state"]:
        assert told["list"] == [await only(jmap)]
    changes = await jmap.call("Identity/changes", {"sinceState": told["state"]})
    assert changes["updated"] == ([] if told["list"] == [await only(jmap)] else [identity["id"]])


async def test_the_states_of_a_set_do_not_hide_what_others_did_meanwhile(jmap: Jmap, parts: Parts) -> None:
    """A client takes the new state for its own if it knows the old one, and asks for nothing in between."""
    who = jmap.person.principal
    identity = await only(jmap)
    context = Context(parts, who, Limits(), frozenset({SUBMISSION}))

    async def rename(name: str) -> str:
        return str((await jmap.call("Identity/set", {"update": {identity["id"]: {"name": name}}}))["newState"])

    async def read(since: Modseq) -> list[ChangedRow]:
        async with jmap.store.database.read(who.tenant_id) as connection:
            return await stored.changed(connection, who.tenant_id, who.account_id, since)

    async def states(before: AccountView, results: SetResults, at: str | None = None) -> tuple[str | None, str]:
        modseq = None if at is None else Modseq(int(at.partition("-")[2]))
        return await states_around_rows(context, before, "Identity", read, lambda each: f"I{each}", results, at=modseq)

    before = await parts.account_views.of(who)
    await rename("by somebody else")
    done = await jmap.call("Identity/set", {"create": {"a": {"email": identity["email"]}}})
    assert await states(before, SetResults(created=done["created"])) == (None, done["newState"])
    before, made = await parts.account_views.of(who), done["created"]["a"]["id"]
    destroyed = await jmap.call("Identity/set", {"destroy": [made]})
    await rename("by somebody else again")
    assert await states(before, SetResults(destroyed=[made])) == (done["newState"], destroyed["newState"])
    assert (await jmap.call("Identity/changes", {"sinceState": destroyed["newState"]}))["updated"] == [identity["id"]]
    assert await states(before, SetResults()) == (done["newState"], done["newState"])
    before, state = await parts.account_views.of(who), (await jmap.call("Identity/get"))["state"]
    renamed = await rename("by us")
    await rename("by somebody else, the same one")
    assert await states(before, SetResults(updated={identity["id"]: None}), renamed) == (state, renamed)


async def test_what_was_updated_and_then_destroyed_by_somebody_else_is_told(jmap: Jmap, parts: Parts) -> None:
    """The row says no more when it was updated, so all of it is told anew."""
    who = jmap.person.principal
    identity = await only(jmap)
    new = {"email": identity["email"]}
    done = await jmap.call("Identity/set", {"create": {"a": new}})
    before, made = await parts.account_views.of(who), done["created"]["a"]["id"]
    await jmap.call("Identity/set", {"update": {made: {"name": "By us"}}})
    await jmap.call("Identity/set", {"destroy": [made]})

    async def read(since: Modseq) -> list[ChangedRow]:
        async with jmap.store.database.read(who.tenant_id) as connection:
            return await stored.changed(connection, who.tenant_id, who.account_id, since)

    context = Context(parts, who, Limits(), frozenset({SUBMISSION}))
    results = SetResults(updated={made: None})
    states = await states_around_rows(context, before, "Identity", read, lambda each: f"I{each}", results)
    assert states == (done["newState"], done["newState"])


async def test_what_is_set_is_told_and_changes_the_state(jmap: Jmap) -> None:
    identity = await only(jmap)
    state = (await jmap.call("Identity/get"))["state"]
    patch = {
        "name": "Ann Lee 安",
        "replyTo": [{"name": None, "email": "desk@elsewhere.test"}],
        "bcc": [{"name": "Archive", "email": "archive@elsewhere.test"}],
        "textSignature": "-- \nAnn",
        "htmlSignature": "<b>Ann</b>",
        "email": identity["email"],  # which may be given as it is
    }
    done = await jmap.call("Identity/set", {"update": {identity["id"]: patch}})
    assert done["updated"] == {identity["id"]: None}
    assert done["oldState"] == state
    assert await only(jmap) == {**identity, **patch}
    changes = await jmap.call("Identity/changes", {"sinceState": state})
    assert (changes["updated"], changes["newState"]) == ([identity["id"]], done["newState"])
    assert (await jmap.call("Identity/changes", {"sinceState": done["newState"]}))["updated"] == []


async def test_more_can_be_made_for_the_same_address_and_for_details_of_it(jmap: Jmap) -> None:
    local_part, _, domain = jmap.person.address.partition("@")
    create = {
        "same": {"email": jmap.person.address, "name": "Press"},
        "detail": {"email": f"{local_part}+lists@{domain}"},
    }
    done = await jmap.call("Identity/set", {"create": create})
    made = done["created"]["same"]
    assert (made["mayDelete"], made["textSignature"], "name" in made) == (True, "", False)
    assert len((await jmap.call("Identity/get"))["list"]) == 3
    gone = await jmap.call("Identity/set", {"destroy": [made["id"], done["created"]["detail"]["id"]]})
    assert gone["destroyed"] == [made["id"], done["created"]["detail"]["id"]]
    assert len((await jmap.call("Identity/get"))["list"]) == 1


async def test_changes_can_be_taken_one_by_one(jmap: Jmap) -> None:
    state = (await jmap.call("Identity/get"))["state"]
    done = await jmap.call("Identity/set", {"create": {str(each): {"email": jmap.person.address} for each in range(3)}})
    made = sorted(each["id"] for each in done["created"].values())
    found = []
    while True:
        changes = await jmap.call("Identity/changes", {"sinceState": state, "maxChanges": 1})
        found += changes["created"]
        state = changes["newState"]
        if not changes["hasMoreChanges"]:
            break
    assert sorted(found) == made
    assert state == done["newState"]


async def test_what_came_and_went_is_not_told(jmap: Jmap) -> None:
    state = (await jmap.call("Identity/get"))["state"]
    made = (await jmap.call("Identity/set", {"create": {"a": {"email": jmap.person.address}}}))["created"]["a"]["id"]
    await jmap.call("Identity/set", {"destroy": [made]})
    changes = await jmap.call("Identity/changes", {"sinceState": state})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [], [])


@pytest.mark.parametrize(
    ("create", "kind", "properties"),
    [
        ({"email": "eve@elsewhere.test"}, "forbiddenFrom", None),
        ({"email": "no address"}, "invalidProperties", ["email"]),
        ({}, "invalidProperties", ["email"]),
        ({"email": 7}, "invalidProperties", ["email"]),
        ({"email": "OWN", "name": 5}, "invalidProperties", ["name"]),
        ({"email": "OWN", "name": "two\r\nlines"}, "invalidProperties", ["name"]),
        ({"email": "OWN", "bcc": "x"}, "invalidProperties", ["bcc"]),
        ({"email": "OWN", "replyTo": [{"email": "nobody"}]}, "invalidProperties", ["replyTo"]),
        ({"email": "OWN", "replyTo": [{"name": "no email"}]}, "invalidProperties", ["replyTo"]),
        ({"email": "OWN", "mayDelete": False}, "invalidProperties", ["mayDelete"]),
        ({"email": "OWN", "colour": "red"}, "invalidProperties", ["colour"]),
    ],
)
async def test_what_makes_no_identity_is_named(
    jmap: Jmap, create: dict[str, Any], kind: str, properties: list[str] | None
) -> None:
    if create.get("email") == "OWN":
        create = {**create, "email": jmap.person.address}
    done = await jmap.call("Identity/set", {"create": {"a": create}})
    assert done["created"] is None
    assert (done["notCreated"]["a"]["type"], done["notCreated"]["a"].get("properties")) == (kind, properties)


async def test_the_identity_of_an_address_cannot_be_destroyed_nor_get_another_address(jmap: Jmap) -> None:
    identity = await only(jmap)
    done = await jmap.call("Identity/set", {"destroy": [identity["id"]]})
    assert done["notDestroyed"] == {
        identity["id"]: {"type": "forbidden", "description": "it is there as long as the address is"}
    }
    done = await jmap.call("Identity/set", {"update": {identity["id"]: {"email": "eve@elsewhere.test"}}})
    assert done["notUpdated"][identity["id"]]["properties"] == ["email"]


async def test_anothers_identity_is_not_found(new_jmap: NewJmap) -> None:
    one, other = await new_jmap(), await new_jmap()
    theirs = (await only(other))["id"]
    assert (await one.call("Identity/get", {"ids": [theirs, "nonsense"]}))["notFound"] == [theirs, "nonsense"]
    done = await one.call("Identity/set", {"update": {theirs: {"name": "x"}}, "destroy": [theirs]})
    assert done["notUpdated"] == {theirs: {"type": "notFound"}}
    assert done["notDestroyed"] == {theirs: {"type": "notFound"}}


async def test_a_state_of_before_is_a_mismatch_and_one_of_nobody_leads_nowhere(jmap: Jmap) -> None:
    await jmap.call("Identity/get")
    assert (await jmap.refusal("Identity/set", {"ifInState": "1-1"}))["type"] == "stateMismatch"
    assert (await jmap.refusal("Identity/changes", {"sinceState": "x"}))["type"] == "cannotCalculateChanges"
    assert (await jmap.refusal("Identity/get", {"properties": ["colour"]}))["type"] == "invalidArguments"
    assert (await jmap.refusal("Identity/get", {"accountId": "A1"}))["type"] == "accountNotFound"
