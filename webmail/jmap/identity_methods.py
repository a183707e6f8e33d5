"""Identity/get, Identity/changes, Identity/set (RFC 8621 §6)."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from mailserver.services.errors import SenderNotOwned
from mailserver.services.identities import (
    MOST_IDENTITIES,
    IdentityChanges,
    change_identities,
    identities,
    new_identity,
)
from storage import identities as stored
from storage.identities import TYPE_NAME, ChangedRow, Identity
from storage.types import IdentityId, Modseq
from tenants.addresses import parse_address
from tenants.errors import AddressInvalid
from webmail.jmap.arguments import Arguments
from webmail.jmap.errors import JsonObject, SetError
from webmail.jmap.ids import identity_id, parse_identity_id
from webmail.jmap.limits import SUBMISSION
from webmail.jmap.method import Context, Method
from webmail.jmap.patches import parse_patch
from webmail.jmap.row_changes import SetResults, states_around_rows, told_row_changes
from webmail.jmap.states import state_of

PROPERTIES = frozenset({"id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete"})
_TEXTS = {"name": "name", "textSignature": "text_signature", "htmlSignature": "html_signature"}
_ADDRESSES = {"replyTo": "reply_to", "bcc": "bcc"}
_LONGEST_OCTETS = {"name": 1_000, "textSignature": 100_000, "htmlSignature": 1_000_000}
_MOST_ADDRESSES = 100
_ATTEMPTS = 5


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_get(PROPERTIES)
    taken.end()
    here, state = await _identities_at(context)
    found = {each.id: each for each in here}
    if asked.ids is None:
        asked.demand_few(len(found))
        chosen, not_found = list(found.values()), []
    else:
        read = {each: parse_identity_id(each) for each in asked.ids}
        chosen = [found[number] for number in read.values() if number in found]
        not_found = [each for each, number in read.items() if number not in found]
    return {
        "accountId": context.account_id,
        "state": state,
        "list": [asked.shown(_shown(each)) for each in chosen],
        "notFound": not_found,
    }


async def changes(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_changes()
    taken.end()
    await _identities(context)  # addresses that came or went are changes too
    return await told_row_changes(context, asked, TYPE_NAME, partial(_rows, context), _id)


async def _rows(context: Context, since: Modseq) -> list[ChangedRow]:
    who = context.who
    async with context.parts.store.database.read(who.tenant_id) as connection:
        return await stored.changed(connection, who.tenant_id, who.account_id, since)


def _id(number: int) -> str:
    return identity_id(IdentityId(number))


async def set_(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_set()
    taken.end()
    there = {each.id: each for each in await _identities(context)}
    before = await context.parts.account_views.of(context.who)
    asked.demand_state(state_of(before, TYPE_NAME))
    results = SetResults()
    addresses = await context.parts.recipients.sender_addresses(context.who)
    create: dict[str, Identity] = {}
    for creation_id, given in asked.create.items():
        try:
            if len(there) + len(create) >= MOST_IDENTITIES:
                raise SetError("overQuota", f"at most {MOST_IDENTITIES} identities")
            create[creation_id] = _created(given, addresses)
        except SetError as error:
            results.not_created[creation_id] = error
    destroy = _destroyed(context, asked.destroy, there, results)
    change = _changed(context, asked.update, there, destroy, results)
    made, modseq = await change_identities(
        context.parts.store, context.who, IdentityChanges(create, list(change.values()), list(destroy.values()))
    )
    for creation_id, number in made.items():
        identity = replace(create[creation_id], id=number)
        results.created[creation_id] = _told_of_created(identity, asked.create[creation_id])
        context.created_ids[creation_id] = identity_id(number)
    results.updated.update(dict.fromkeys(change))
    results.destroyed += list(destroy)
    states = await states_around_rows(context, before, TYPE_NAME, partial(_rows, context), _id, results, at=modseq)
    return results.response(context, *states)


async def _identities_at(context: Context) -> tuple[list[Identity], str]:
    """With their state, which reading them may move: those of new addresses are made then. It is never later than what
    was read, or a client that was given what is old would not hear of it any more."""
    for _attempt in range(_ATTEMPTS):
        state = state_of(await context.parts.account_views.of(context.who), TYPE_NAME)
        found = await _identities(context)
        if state == state_of(await context.parts.account_views.of(context.who), TYPE_NAME):
            break
    return found, state


async def _identities(context: Context) -> list[Identity]:
    return await identities(context.parts.store, context.parts.recipients, context.who)


def _created(given: JsonObject, addresses: Collection[str]) -> Identity:
    """Raises SetError."""
    values = dict(given)
    email = values.pop("email", None)
    if not isinstance(email, str):
        raise SetError("invalidProperties", "an identity has an email", ("email",))
    try:
        identity = new_identity(email, addresses)
    except AddressInvalid as error:
        raise SetError("invalidProperties", str(error), ("email",)) from None
    except SenderNotOwned:
        raise SetError("forbiddenFrom", "this address is not yours") from None
    return _with(identity, values)


def _destroyed(
    context: Context, asked: Collection[str], there: Mapping[int, Identity], results: SetResults
) -> dict[str, IdentityId]:
    destroy: dict[str, IdentityId] = {}
    for given in asked:
        real = context.real_id(given)
        number = parse_identity_id(real)
        if number is None or number not in there or real in destroy:
            results.not_destroyed[real] = SetError("notFound")
        elif there[number].is_of_address:
            results.not_destroyed[real] = SetError("forbidden", "it is there as long as the address is")
        else:
            destroy[real] = number
    return destroy


def _changed(
    context: Context,
    asked: Mapping[str, JsonObject],
    there: Mapping[int, Identity],
    destroy: Collection[str],
    results: SetResults,
) -> dict[str, Identity]:
    change: dict[str, Identity] = {}
    for given, patch in asked.items():
        real = context.real_id(given)
        number = parse_identity_id(real)
        try:
            if number is None or number not in there:
                raise SetError("notFound")
            if real in destroy:
                raise SetError("willDestroy")
            read = parse_patch(patch)
            if read.members:
                raise SetError("invalidPatch", "its properties are changed whole")
            change[real] = _with(there[number], dict(read.whole))
        except SetError as error:
            results.not_updated[real] = error
    return change


def _with(identity: Identity, values: dict[str, Any]) -> Identity:
    """The identity with these properties. Those that cannot be changed may be given as they are. Raises SetError."""
    shown = _shown(identity)
    wrong: list[str] = []
    news: dict[str, str | None] = {}
    for name, value in values.items():
        if name in _TEXTS:
            text = "" if value is None else value
            if not isinstance(text, str) or not _is_good_text(name, text):
                wrong.append(name)
            else:
                news[_TEXTS[name]] = text
        elif name in _ADDRESSES:
            if not _are_addresses(value):
                wrong.append(name)
            else:
                news[_ADDRESSES[name]] = None if value is None else json.dumps(value, ensure_ascii=False)
        elif identity.id == 0 or name not in PROPERTIES or value != shown[name]:
            wrong.append(name)
    if wrong:
        raise SetError("invalidProperties", "", tuple(sorted(wrong)))
    return replace(identity, **news)  # type: ignore[arg-type]  # by the tables above


def _is_good_text(name: str, text: str) -> bool:
    is_of_one_line = name == "name"
    if is_of_one_line and not text.isprintable():
        return False
    return "\0" not in text and len(text.encode("utf-8", "replace")) <= _LONGEST_OCTETS[name]


def _are_addresses(value: object) -> bool:
    """EmailAddress[] or null (RFC 8621 §4.1.2.3)."""
    if value is None:
        return True
    if not isinstance(value, list) or len(value) > _MOST_ADDRESSES:
        return False
    for each in value:
        if not isinstance(each, dict) or not set(each) <= {"name", "email"}:
            return False
        name, email = each.get("name"), each.get("email")
        if not isinstance(name, str | None) or not isinstance(email, str) or "\0" in f"{name}{email}":
            return False
        try:
            parse_address(email)
        except AddressInvalid:
            return False
    return True


def _shown(identity: Identity) -> JsonObject:
    return {
        "id": identity_id(IdentityId(identity.id)),
        "name": identity.name,
        "email": identity.email,
        "replyTo": _addresses(identity.reply_to),
        "bcc": _addresses(identity.bcc),
        "textSignature": identity.text_signature,
        "htmlSignature": identity.html_signature,
        "mayDelete": not identity.is_of_address,
    }


def _told_of_created(identity: Identity, given: JsonObject) -> JsonObject:
    """The id, what the server sets, and defaults (RFC 8620 §5.3)."""
    return {name: value for name, value in _shown(identity).items() if name not in given or name == "id"}


def _addresses(kept: str | None) -> list[JsonObject] | None:
    if kept is None:
        return None
    return [{"name": each.get("name"), "email": each["email"]} for each in json.loads(kept)]


METHODS = (
    Method("Identity/get", SUBMISSION, get),
    Method("Identity/changes", SUBMISSION, changes),
    Method("Identity/set", SUBMISSION, set_),
)
