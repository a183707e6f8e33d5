"""SearchSnippet/get (RFC 8621 §5.1): what of Emails matches the texts of a filter, with <mark> around it."""

from collections.abc import Iterator

from mailserver.mime.highlighting import Highlighter
from mailserver.mime.searchable import Needle, needles_of
from mailserver.services.snippets import NOTHING, Asked, snippets
from webmail.jmap import ids
from webmail.jmap.arguments import Arguments
from webmail.jmap.email_filters import email_filter
from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.filters import Filter, FilterCondition, FilterOperator, Operator, parse_filter
from webmail.jmap.limits import MAIL
from webmail.jmap.method import Context, Method

MOST_MARKED = 100
"""Words and phrases; what is looked for beside those is not marked."""


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    taken.account()
    given = taken.object_or_null("filter")
    asked = list(dict.fromkeys(taken.ids("emailIds")))
    taken.end()
    if len(asked) > (limit := context.limits.max_objects_in_get):
        raise MethodError("requestTooLarge", f"at most {limit} ids")
    filter_ = None if given is None else parse_filter(given)
    email_filter(filter_)  # what Email/query would refuse
    view = await context.parts.account_views.of(context.who)
    sizes, known = {}, {}
    for each in asked:
        message = ids.parse_email_id(each)
        if message is not None and view.is_shown(message) and (slot := view.slot_of(message)) is not None:
            sizes[message], known[each] = view.facts.octets[slot], message
    marks = _marks(filter_)
    found = {} if marks is None else await snippets(context.parts.store, context.who, sizes, marks)
    told = {each: found.get(message) if marks is not None else NOTHING for each, message in known.items()}
    missing = [each for each in asked if told.get(each) is None]
    for snippet in told.values():
        if snippet is not None:
            context.room.take(len(snippet.subject or "") + len(snippet.body or ""))
    return {
        "accountId": context.account_id,
        "list": [
            {"emailId": each, "subject": snippet.subject, "preview": snippet.body}
            for each, snippet in told.items()
            if snippet is not None
        ],
        "notFound": missing or None,
    }


def _marks(filter_: Filter | None) -> Asked | None:
    """None: no text is looked for."""
    texts: dict[str, list[Needle]] = {"text": [], "subject": [], "body": []}
    left = MOST_MARKED
    for name, text in dict.fromkeys(_texts(filter_)):
        needles = needles_of(text)[:left]
        texts[name] += needles
        left -= len(needles)
    if not any(texts.values()):
        return None
    return Asked(Highlighter(texts["text"], anywhere=texts["subject"]), Highlighter(texts["text"] + texts["body"]))


def _texts(filter_: Filter | None) -> Iterator[tuple[str, str]]:
    """The texts that Emails are to hold, each with its condition's name; what they must not hold is not shown."""
    match filter_:
        case FilterOperator(operator, conditions) if operator is not Operator.NOT:
            for each in conditions:
                yield from _texts(each)
        case FilterCondition(properties):
            for name in ("text", "subject", "body"):
                if isinstance(text := properties.get(name), str):
                    yield name, text
        case _:
            return


METHODS = (Method("SearchSnippet/get", MAIL, get),)
