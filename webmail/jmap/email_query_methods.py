"""Email/query, Email/queryChanges and Email/changes (RFC 8621 §4.3 to §4.5)."""

from mailserver.services.account_changes import Kind
from mailserver.services.account_view import AccountView
from mailserver.services.email_queries import EmailQuery, Results, results
from mailserver.services.email_query_changes import query_changes
from mailserver.services.email_texts import EmailTexts
from mailserver.services.errors import SearchTooLong
from mailserver.services.text_search import AccountTexts
from storage.types import MessageId
from webmail.jmap import ids
from webmail.jmap.arguments import Arguments
from webmail.jmap.email_filters import email_filter, email_sort
from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.limits import MAIL
from webmail.jmap.method import Context, Method
from webmail.jmap.standard import StandardQuery, StandardQueryChanges
from webmail.jmap.states import logged_since, place_of, state_of, told_changes
from webmail.jmap.windows import window

MOST_IDS = 20_000
"""Of one answer."""


async def query(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_query()
    is_collapsed = taken.boolean("collapseThreads", default=False)
    taken.end()
    wanted = _query_of(asked, is_collapsed=is_collapsed)
    view = await context.parts.account_views.of(context.who)
    found = await _results(context, view, wanted)

    def index_of(anchor: str) -> int | None:
        message = ids.parse_email_id(anchor)
        slot = None if message is None else view.slot_of(message)
        return None if slot is None else found.index_of(slot)

    shown = window(asked, found.total, index_of, most=MOST_IDS)
    slots = found.between(shown.begin, shown.end)
    answer: JsonObject = {
        "accountId": context.account_id,
        "queryState": state_of(view, "Email"),
        "canCalculateChanges": _can_calculate_changes(wanted),
        "position": shown.begin,
        "ids": [ids.email_id(view.id_at(slot)) for slot in slots],
    }
    if asked.is_total_wanted:
        answer["total"] = found.total()
    if shown.limit_set is not None:
        answer["limit"] = shown.limit_set
    return answer


async def changes_of_query(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_query_changes()
    is_collapsed = taken.boolean("collapseThreads", default=False)
    taken.end()
    wanted = _query_of(asked, is_collapsed=is_collapsed)
    if not _can_calculate_changes(wanted):
        raise MethodError("cannotCalculateChanges", "only of all Emails or of a mailbox, sorted by receivedAt alone")
    view = await context.parts.account_views.of(context.who)
    since = place_of(view, asked.since_query_state)
    logged = await logged_since(context, view, since, "Email")
    now = await _results(context, view, wanted)
    up_to = None if asked.up_to_id is None else ids.parse_email_id(asked.up_to_id)
    found = query_changes(view, wanted, now, logged, since, up_to)
    if found is None:
        raise MethodError("cannotCalculateChanges")
    if asked.max_changes is not None and len(found.removed) + len(found.added) > asked.max_changes:
        raise MethodError("tooManyChanges")
    answer: JsonObject = {
        "accountId": context.account_id,
        "oldQueryState": asked.since_query_state,
        "newQueryState": state_of(view, "Email"),
        "removed": [ids.email_id(each) for each in found.removed],
        "added": [{"id": ids.email_id(each), "index": index} for index, each in found.added],
    }
    if asked.is_total_wanted:
        answer["total"] = now.total()
    return answer


async def changes(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_changes()
    taken.end()
    told, _ = await told_changes(context, asked, Kind.EMAIL, lambda each: ids.email_id(MessageId(each)))
    return told


def _query_of(asked: StandardQuery | StandardQueryChanges, *, is_collapsed: bool) -> EmailQuery:
    return EmailQuery(email_filter(asked.filter), email_sort(asked.sort), is_collapsed)


def _can_calculate_changes(wanted: EmailQuery) -> bool:
    return wanted.is_of_mailbox and wanted.is_by_arrival


async def _results(context: Context, view: AccountView, wanted: EmailQuery) -> Results:
    parts = context.parts
    try:
        texts = EmailTexts(parts.store, parts.searches, context.who, view, AccountTexts(parts.store))
        return await results(texts, wanted)
    except SearchTooLong:
        raise MethodError("unsupportedFilter", "this search takes too long; a simpler one may not") from None


METHODS = (
    Method("Email/query", MAIL, query),
    Method("Email/queryChanges", MAIL, changes_of_query),
    Method("Email/changes", MAIL, changes),
)
