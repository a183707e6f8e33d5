"""VacationResponse/get and VacationResponse/set (RFC 8621 §8).

Who names our own capability, too, sees `insideTextBody` beside: what people of one's own company get instead of the
other bodies; null: the same as everybody.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mailserver.services.vacation import set_vacation, vacation_of
from storage.vacations import TYPE_NAME, Vacation
from webmail.jmap.arguments import Arguments
from webmail.jmap.email_headers import utc_date
from webmail.jmap.errors import JsonObject, SetError
from webmail.jmap.ids import VACATION_ID
from webmail.jmap.limits import VACATION, VACATION_EXTENSION
from webmail.jmap.method import Context, Method
from webmail.jmap.patches import parse_patch
from webmail.jmap.row_changes import SetResults
from webmail.jmap.states import state_of
from webmail.jmap.utc_dates import read_utc_date

_INSIDE = "insideTextBody"
_FIELDS = {
    "isEnabled": "is_enabled",
    "fromDate": "from_at",
    "toDate": "to_at",
    "subject": "subject",
    "textBody": "text_body",
    "htmlBody": "html_body",
    _INSIDE: "inside_text_body",
}
_LONGEST_OCTETS = {"subject": 1_000, "textBody": 100_000, "htmlBody": 1_000_000, _INSIDE: 100_000}


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_get(_known(context))
    taken.end()
    view = await context.parts.account_views.of(context.who)
    vacation = await vacation_of(context.parts.store, context.who)
    ids = (VACATION_ID,) if asked.ids is None else asked.ids
    return {
        "accountId": context.account_id,
        "state": state_of(view, TYPE_NAME),
        "list": [asked.shown(_shown(context, vacation)) for each in ids if each == VACATION_ID],
        "notFound": [each for each in ids if each != VACATION_ID],
    }


async def set_(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_set()
    taken.end()
    old_state = state_of(await context.parts.account_views.of(context.who), TYPE_NAME)
    asked.demand_state(old_state)
    results = SetResults()
    results.not_created.update(dict.fromkeys(asked.create, SetError("singleton")))
    for each in asked.destroy:
        results.not_destroyed[each] = SetError("singleton" if each == VACATION_ID else "notFound")
    for each, patch in asked.update.items():
        try:
            if each != VACATION_ID:
                raise SetError("notFound")
            await set_vacation(context.parts.store, context.who, _change(context, patch))
            results.updated[each] = None
        except SetError as error:
            results.not_updated[each] = error
    after = await context.parts.account_views.of(context.who)
    return results.response(context, old_state, state_of(after, TYPE_NAME))


def _known(context: Context) -> frozenset[str]:
    own = {_INSIDE} if VACATION_EXTENSION not in context.using else set()
    return frozenset({"id", *_FIELDS} - own)


def _change(context: Context, given: JsonObject) -> Callable[[Vacation], Vacation]:
    """Raises SetError."""
    patch = parse_patch(given)
    if patch.members:
        raise SetError("invalidPatch", "its properties are given whole")
    known = _known(context)
    wrong: list[str] = []
    news: dict[str, Any] = {}
    for name, value in patch.whole.items():
        if name == "id" and value == VACATION_ID:
            continue
        if name not in known or name == "id" or not _is_good(name, value):
            wrong.append(name)
        elif name.endswith("Date"):
            news[_FIELDS[name]] = read_utc_date(value)
        else:
            news[_FIELDS[name]] = value
    if wrong:
        raise SetError("invalidProperties", "", tuple(sorted(wrong)))
    return lambda before: replace(before, **news)


def _is_good(name: str, value: object) -> bool:
    if name == "isEnabled":
        return isinstance(value, bool)
    if value is None:
        return True
    if name.endswith("Date"):
        return read_utc_date(value) is not None
    return (
        isinstance(value, str) and "\0" not in value and len(value.encode("utf-8", "replace")) <= _LONGEST_OCTETS[name]
    )


def _shown(context: Context, vacation: Vacation) -> JsonObject:
    shown: JsonObject = {"id": VACATION_ID}
    for name, field in _FIELDS.items():
        value = getattr(vacation, field)
        if name in _known(context):
            shown[name] = utc_date(value) if name.endswith("Date") and value is not None else value
    return shown


METHODS = (
    Method("VacationResponse/get", VACATION, get),
    Method("VacationResponse/set", VACATION, set_),
)
