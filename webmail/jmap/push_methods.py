"""PushSubscription/get and set (RFC 8620 §7.2): of a person, not an account, so they take no accountId.

Only what the same credentials made is there at all. URL and keys are never shown again.
"""

import hmac
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from mailserver.services.web_push import TooManyCodes
from mailserver.web_push_encryption import PushKeysInvalid, parse_push_keys
from storage import push_subscriptions as stored
from storage.push_subscriptions import NewSubscription, Subscription, Target
from storage.told_states import told_states
from storage.types import PushSubscriptionId
from webmail.jmap.arguments import Arguments
from webmail.jmap.email_headers import utc_date
from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError, SetError
from webmail.jmap.ids import push_subscription_id
from webmail.jmap.limits import CORE
from webmail.jmap.method import Context, Method
from webmail.jmap.row_changes import SetResults

LONGEST_LIFE = timedelta(days=30)
"""As long as a subscription lives without its device: a phone may not be in its owner's hand for a while."""
MOST_OF_ACCOUNT = 50
LONGEST_URL, LONGEST_NAME, MOST_TYPES = 2_000, 255, 100

_SHOWN = frozenset({"id", "deviceClientId", "verificationCode", "expires", "types"})
_SECRET = frozenset({"url", "keys"})
_GIVEN = frozenset({"deviceClientId", "url", "keys", "verificationCode", "expires", "types"})


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    ids = taken.ids_or_null("ids")
    properties = taken.properties("properties", _SHOWN | _SECRET)
    taken.end()
    if ids is not None and len(ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge", f"at most {context.limits.max_objects_in_get} ids")
    if properties is not None and properties & _SECRET:
        raise MethodError("forbidden", "url and keys are not shown")
    found = await _mine(context)
    wanted = list(found) if ids is None else list(dict.fromkeys(context.real_id(each) for each in ids))
    shown = [_record(found[each]) for each in wanted if each in found]
    if properties is not None:
        shown = [{name: each[name] for name in each if name in properties or name == "id"} for each in shown]
    return {"list": shown, "notFound": [each for each in wanted if each not in found]}


async def set_(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    create = taken.map_of_objects_or_null("create") or {}
    update = taken.map_of_objects_or_null("update") or {}
    destroy = list(dict.fromkeys(taken.ids_or_null("destroy") or ()))
    taken.end()
    taken.demand_few(len(create) + len(update) + len(destroy))
    if any(name.startswith("#") for name in create):
        raise InvalidArguments("create: a creation id is an id")
    results = SetResults()
    now = datetime.now(UTC)
    for name, given in create.items():
        try:
            results.created[name] = await _create(context, given, now)
            context.has_changed = True
            context.created_ids[name] = results.created[name]["id"]
        except SetError as error:
            results.not_created[name] = error
    found = await _mine(context) if update or destroy else {}
    doomed = {context.real_id(each) for each in destroy}
    for name, given in update.items():
        try:
            results.updated[name] = await _update(context, found, context.real_id(name), given, now, doomed)
            context.has_changed = True
        except SetError as error:
            results.not_updated[name] = error
    for name in destroy:
        subscription = found.get(context.real_id(name))
        if subscription is not None and await _destroy(context, subscription):
            context.has_changed = True
            results.destroyed.append(context.real_id(name))
        else:
            results.not_destroyed[name] = SetError("notFound")
    response = results.response(context, "", "")
    return {name: each for name, each in response.items() if name not in ("accountId", "oldState", "newState")}


async def _mine(context: Context) -> dict[str, Subscription]:
    who = context.who
    async with context.parts.store.database.read(who.tenant_id) as connection:
        rows = await stored.list_mine(connection, who)
    return {push_subscription_id(PushSubscriptionId(row.id)): row for row in rows}


def _record(found: Subscription) -> JsonObject:
    """The code is shown to who knows it: before that it would verify nothing."""
    return {
        "id": push_subscription_id(PushSubscriptionId(found.id)),
        "deviceClientId": found.device_client_id,
        "verificationCode": found.verification_code if found.is_verified else None,
        "expires": _date(found.expires_at),
        "types": found.types,
    }


async def _create(context: Context, given: JsonObject, now: datetime) -> JsonObject:
    """Raises SetError."""
    unknown = sorted(given.keys() - _GIVEN)
    if unknown:
        raise SetError("invalidProperties", "there are no such properties to be set", unknown)
    if given.get("verificationCode") is not None:
        raise SetError("invalidProperties", "the code is sent to the URL", ["verificationCode"])
    new = NewSubscription(
        device_client_id=_device(given.get("deviceClientId")),
        target=_target(context, given),
        types=_types(given.get("types")),
        verification_code=secrets.token_hex(16),
        expires_at=_expiry(given.get("expires"), now),
    )
    who, parts = context.who, context.parts
    try:
        parts.web_push.demand_code(who.account_id)
    except TooManyCodes:
        raise SetError("rateLimit", "too many were made within an hour") from None
    keys = await parts.store.keys.of(who.tenant_id)
    async with parts.store.database.read(who.tenant_id) as connection:
        made = await stored.insert(connection, keys, who, new, most=MOST_OF_ACCOUNT)
    if made is None:
        raise SetError("overQuota", f"at most {MOST_OF_ACCOUNT} at once")
    parts.web_push.send_code(made, new.target, new.verification_code)
    told: JsonObject = {"id": push_subscription_id(made)}
    told |= {name: None for name in ("keys", "types", "verificationCode") if name not in given}
    if given.get("expires") != _date(new.expires_at):
        told["expires"] = _date(new.expires_at)
    return told


async def _update(
    context: Context,
    found: dict[str, Subscription],
    subscription_id: str,
    given: JsonObject,
    now: datetime,
    doomed: set[str],
) -> JsonObject | None:
    """What became of it otherwise than asked. Raises SetError."""
    before = found.get(subscription_id)
    if before is None:
        raise SetError("notFound")
    if subscription_id in doomed:
        raise SetError("willDestroy")
    after = _patched(before, given, now)
    who, parts = context.who, context.parts
    async with parts.store.database.read(who.tenant_id) as connection:
        states = await told_states(connection, who.tenant_id, who.account_id)
        if states is None or not await stored.update(connection, who, after, epoch=states.epoch, modseq=states.modseq):
            raise SetError("notFound")
    found[subscription_id] = after
    if after.is_verified:
        parts.web_push.subscribed(who.tenant_id, who.account_id)
    if "expires" in given and given["expires"] != _date(after.expires_at):
        return {"expires": _date(after.expires_at)}
    return None


def _patched(before: Subscription, given: JsonObject, now: datetime) -> Subscription:
    """Raises SetError."""
    after = before
    for name, value in given.items():
        match name:
            case "verificationCode":
                if not isinstance(value, str) or not hmac.compare_digest(
                    value.encode("utf-8", "replace"), before.verification_code.encode()
                ):
                    raise SetError("invalidProperties", "this is not the code that was sent", [name])
                after = replace(after, is_verified=True)
            case "expires":
                after = replace(after, expires_at=_expiry(value, now))
            case "types":
                types = _types(value)
                after = replace(after, types=None if types is None else list(types))
            case "id" | "deviceClientId" if value == _record(before)[name]:
                pass
            case _:
                raise SetError("invalidProperties", "it cannot be changed, or is no property", [name])
    return after


async def _destroy(context: Context, subscription: Subscription) -> bool:
    async with context.parts.store.database.read(context.who.tenant_id) as connection:
        return await stored.destroy(connection, context.who, PushSubscriptionId(subscription.id))


def _device(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or "\0" in value:
        raise SetError("invalidProperties", f"a string of 1 to {LONGEST_NAME} characters", ["deviceClientId"])
    return value


def _target(context: Context, given: JsonObject) -> Target:
    """Raises SetError."""
    url, keys = given.get("url"), given.get("keys")
    if (
        not isinstance(url, str)
        or len(url) > LONGEST_URL
        or not url.isascii()
        or not context.parts.web_push.posting.allows(url)
        or urlsplit(url).fragment
    ):
        raise SetError("invalidProperties", f"a URL that begins with https://, of at most {LONGEST_URL}", ["url"])
    match keys:
        case None:
            return Target(url)
        case {"p256dh": str(p256dh), "auth": str(auth)}:
            try:
                parse_push_keys(p256dh, auth)
            except PushKeysInvalid as invalid:
                raise SetError("invalidProperties", str(invalid), ["keys"]) from None
            return Target(url, p256dh, auth)
    raise SetError("invalidProperties", "null, or an object with p256dh and auth", ["keys"])


def _types(value: Any) -> tuple[str, ...] | None:
    """Names of types that are not known here are as good as others: they never change. Raises SetError."""
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or len(value) > MOST_TYPES
        or not all(isinstance(each, str) and 0 < len(each) <= LONGEST_NAME and "\0" not in each for each in value)
    ):
        raise SetError("invalidProperties", "null, or a list of type names", ["types"])
    return tuple(dict.fromkeys(value))


def _expiry(value: Any, now: datetime) -> datetime:
    """As asked, within LONGEST_LIFE. Raises SetError."""
    latest = (now + LONGEST_LIFE).replace(microsecond=0)
    if value is None:
        return latest
    try:
        if not isinstance(value, str) or not value.endswith("Z") or len(value) > 40 or "T" not in value:
            raise ValueError
        asked = datetime.fromisoformat(value).replace(microsecond=0)
    except ValueError:
        raise SetError("invalidProperties", "null, or a UTCDate", ["expires"]) from None
    if asked <= now:
        raise SetError("invalidProperties", "that is over", ["expires"])
    return min(asked, latest)


def _date(moment: datetime) -> str:
    return utc_date(moment.astimezone(UTC))


METHODS = (Method("PushSubscription/get", CORE, get), Method("PushSubscription/set", CORE, set_))
