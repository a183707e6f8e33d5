"""Thread/get and Thread/changes (RFC 8621 §3)."""

from mailserver.services.account_changes import Kind
from storage.types import ThreadId
from webmail.jmap import ids
from webmail.jmap.arguments import Arguments
from webmail.jmap.errors import JsonObject
from webmail.jmap.limits import MAIL
from webmail.jmap.method import Context, Method
from webmail.jmap.states import state_of, told_changes

_PROPERTIES = frozenset({"id", "emailIds"})


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    wanted = taken.standard_get(_PROPERTIES)
    taken.end()
    view = await context.parts.account_views.of(context.who)
    threads = wanted.ids
    if threads is None:
        distinct = dict.fromkeys(map(view.facts.threads.__getitem__, view.everything))
        wanted.demand_few(len(distinct))
        threads = tuple(ids.thread_id(ThreadId(each)) for each in distinct)
    found: list[JsonObject] = []
    not_found: list[str] = []
    for each in threads:
        thread = ids.parse_thread_id(each)
        emails = [] if thread is None else view.emails_of_thread(thread)
        if emails:
            found.append(wanted.shown({"id": each, "emailIds": [ids.email_id(email) for email in emails]}))
        else:
            not_found.append(each)
    return {
        "accountId": context.account_id,
        "state": state_of(view, "Thread"),
        "list": found,
        "notFound": not_found,
    }


async def changes(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_changes()
    taken.end()
    told, _ = await told_changes(context, asked, Kind.THREAD, lambda each: ids.thread_id(ThreadId(each)))
    return told


METHODS = (Method("Thread/get", MAIL, get), Method("Thread/changes", MAIL, changes))
