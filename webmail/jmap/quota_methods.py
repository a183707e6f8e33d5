"""Quota/get, changes, query, queryChanges (RFC 9425): how many octets of mail a person has, and may have.

There is one quota, or none for whom nothing limits. A state says what it held, `<used>-<limit>`, so that changes since
any state can be told. It is of Emails, so who does not name their capability sees none (§4.1).
"""

import re
from dataclasses import dataclass

from mailserver.services.mailboxes import quota_usage
from mailserver.services.state_changes import quota_state
from webmail.jmap.arguments import Arguments
from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError
from webmail.jmap.filters import Comparator, Filter, FilterCondition, Operator
from webmail.jmap.limits import MAIL, QUOTA
from webmail.jmap.method import Context, Method
from webmail.jmap.standard import StandardQueryChanges
from webmail.jmap.windows import window

QUOTA_ID = "Qmail"
WARN_PERCENT = 80  # when people are written to
PROPERTIES = frozenset(
    {"id", "resourceType", "used", "hardLimit", "warnLimit", "softLimit", "scope", "name", "types", "description"}
)

_NONE = "none"
_STATE = re.compile(r"([0-9]{1,18})-([0-9]{1,18}|none)", re.ASCII)
_SORTED_BY = frozenset({"name", "used"})
_DESCRIPTION = {
    "en": "Mail of this account. Each message counts once, in however many mailboxes it is.",
    "zh": "此帐户的邮件。一封邮件无论在几个文件夹中，都只计一次。",
}


@dataclass(frozen=True, slots=True)
class _Held:
    """`limit` None: nothing limits, and there is no quota."""

    used: int
    limit: int | None

    @property
    def state(self) -> str:
        return quota_state(self.used, self.limit)

    def ids(self) -> list[str]:
        return [] if self.limit is None else [QUOTA_ID]


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_get(PROPERTIES)
    taken.end()
    held = await _held(context)
    there = held.ids()
    wanted = there if asked.ids is None else asked.ids
    return {
        "accountId": context.account_id,
        "state": held.state,
        "list": [asked.shown(_record(context, held)) for each in wanted if each in there],
        "notFound": [each for each in wanted if each not in there],
    }


async def changes(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_changes()
    taken.end()
    before, now = _read_state(asked.since_state), await _held(context)
    was, is_now = before.ids(), now.ids()
    has_changed = bool(was and is_now) and before != now
    is_used_alone = has_changed and before.limit == now.limit
    return {
        "accountId": context.account_id,
        "oldState": asked.since_state,
        "newState": now.state,
        "hasMoreChanges": False,
        "created": [each for each in is_now if each not in was],
        "updated": is_now if has_changed else [],
        "destroyed": [each for each in was if each not in is_now],
        "updatedProperties": ["used"] if is_used_alone else None,
    }


async def query(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_query()
    taken.end()
    held = await _held(context)
    ids = _matching(context, held, asked.filter, asked.sort)
    part = window(
        asked,
        lambda: len(ids),
        lambda each: ids.index(each) if each in ids else None,
        most=context.limits.max_objects_in_get,
    )
    response: JsonObject = {
        "accountId": context.account_id,
        "queryState": held.state,
        "canCalculateChanges": True,
        "position": part.begin,
        "ids": ids[part.begin : part.end],
    }
    return {**response, "total": len(ids)} if asked.is_total_wanted else response


async def query_changes(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked: StandardQueryChanges = taken.standard_query_changes()
    taken.end()
    before, now = _read_state(asked.since_query_state), await _held(context)
    ids = _matching(context, now, asked.filter, asked.sort)
    was = _matching(context, before, asked.filter, asked.sort)
    removed, added = (was, ids) if before != now else ([], [])
    if asked.max_changes is not None and len(removed) + len(added) > asked.max_changes:
        raise MethodError("tooManyChanges")
    response: JsonObject = {
        "accountId": context.account_id,
        "oldQueryState": asked.since_query_state,
        "newQueryState": now.state,
        "removed": removed,
        "added": [{"id": each, "index": place} for place, each in enumerate(added)],
    }
    return {**response, "total": len(ids)} if asked.is_total_wanted else response


async def _held(context: Context) -> _Held:
    """As IMAP tells it: the limit of the whole company shows as a lower one of the person."""
    usage = await quota_usage(context.parts.store, context.who) if MAIL in context.using else None
    return _Held(0, None) if usage is None else _Held(*usage)


def _read_state(state: str) -> _Held:
    found = _STATE.fullmatch(state)
    if found is None:
        raise MethodError("cannotCalculateChanges")
    return _Held(int(found[1]), None if found[2] == _NONE else int(found[2]))


def _record(context: Context, held: _Held) -> JsonObject:
    assert held.limit is not None
    return {
        "id": QUOTA_ID,
        "resourceType": "octets",
        "used": held.used,
        "hardLimit": held.limit,
        "warnLimit": held.limit * WARN_PERCENT // 100,
        "softLimit": None,
        "scope": "account",
        "name": str(context.who.address),
        "types": ["Email"],
        "description": _DESCRIPTION["zh" if context.who.language.lower().startswith("zh") else "en"],
    }


def _matching(context: Context, held: _Held, wanted: Filter | None, sort: tuple[Comparator, ...]) -> list[str]:
    for each in sort:
        if each.property not in _SORTED_BY or each.more:
            raise MethodError("unsupportedSort", f"quotas are not sorted by {each.property}")
    if held.limit is None:
        if wanted is not None:
            _matches({}, wanted)
        return []
    return [QUOTA_ID] if wanted is None or _matches(_record(context, held), wanted) else []


def _matches(record: JsonObject, wanted: Filter) -> bool:
    if isinstance(wanted, FilterCondition):
        results = [_holds(record, name, value) for name, value in wanted.properties.items()]  # each is looked at
        return all(results)
    results = [_matches(record, each) for each in wanted.conditions]
    match wanted.operator:
        case Operator.AND:
            return all(results)
        case Operator.OR:
            return any(results)
        case Operator.NOT:
            return not any(results)


def _holds(record: JsonObject, name: str, value: object) -> bool:
    """Raises unsupportedFilter for what is no property of a condition."""
    if name not in ("name", "scope", "resourceType", "type"):
        raise MethodError("unsupportedFilter", f"quotas are not filtered by {name}")
    if not isinstance(value, str):
        raise InvalidArguments(f"filter: {name} must be a string")
    match name:
        case "name":
            return value in record.get("name", "")
        case "type":
            return value in record.get("types", ())
        case _:
            return bool(record.get(name) == value)


METHODS = (
    Method("Quota/get", QUOTA, get),
    Method("Quota/changes", QUOTA, changes),
    Method("Quota/query", QUOTA, query),
    Method("Quota/queryChanges", QUOTA, query_changes),
)
