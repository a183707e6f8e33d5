"""Mailbox/query and Mailbox/queryChanges (RFC 8621 §2.3, §2.4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailserver.mime.folding import fold
from mailserver.services.account_view import AccountView
from mailserver.services.email_sorting import Collation, text_key
from mailserver.services.mailbox_hierarchy import Place, ancestors
from storage.mailboxes import CHANGE_MAILBOX_MADE
from storage.types import Mailbox, MailboxId
from webmail.jmap import filters, ids
from webmail.jmap.arguments import Arguments, as_boolean, as_id, as_string
from webmail.jmap.email_filters import collation_of
from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError
from webmail.jmap.limits import MAIL
from webmail.jmap.mailbox_methods import role_of, sort_order_of, tree_of
from webmail.jmap.method import Context, Method
from webmail.jmap.states import logged_since, place_of, state_of
from webmail.jmap.windows import window

MOST_IDS = 5_000
DEEPEST = 32
"""Operators within operators."""

Matches = Callable[[MailboxId], bool]


@dataclass(frozen=True, slots=True)
class _Query:
    """`is_sorted_as_tree`: children right behind their parents. `is_filtered_as_tree`: only with all its ancestors."""

    filter: filters.Filter | None
    sort: tuple[filters.Comparator, ...]
    is_sorted_as_tree: bool
    is_filtered_as_tree: bool

    @property
    def depends_on_others(self) -> bool:
        """May a mailbox be found, or no longer be, though nothing of itself has changed?"""
        return self.is_filtered_as_tree or _asks_for_parents(self.filter)


async def query(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_query()
    wanted = _query(taken, asked.filter, asked.sort)
    view = await context.parts.account_views.of(context.who)
    found = _results(view, wanted)

    def index_of(anchor: str) -> int | None:
        mailbox = ids.parse_mailbox_id(anchor)
        return found.index(mailbox) if mailbox in found else None

    shown = window(asked, lambda: len(found), index_of, most=MOST_IDS)
    answer: JsonObject = {
        "accountId": context.account_id,
        "queryState": state_of(view, "Mailbox"),
        "canCalculateChanges": True,
        "position": shown.begin,
        "ids": [ids.mailbox_id(each) for each in found[shown.begin : shown.end]],
    }
    if asked.is_total_wanted:
        answer["total"] = len(found)
    if shown.limit_set is not None and shown.limit_set < len(found):
        answer["limit"] = shown.limit_set
    return answer


async def changes_of_query(context: Context, arguments: JsonObject) -> JsonObject:
    """Mailboxes are few: if one was made, altered or deleted, all that may have been found go out, and all that are
    found now come in again, since where one stands may depend on others, and so may whether it is found: by its parent,
    or with all its ancestors only. Counts, which change all the time, change nothing here."""
    taken = Arguments(context, arguments)
    asked = taken.standard_query_changes()
    wanted = _query(taken, asked.filter, asked.sort)
    view = await context.parts.account_views.of(context.who)
    since = place_of(view, asked.since_query_state)
    logged = await logged_since(context, view, since, "Mailbox")
    touched = {MailboxId(row.mailbox_id) for row in logged if row.kind >= CHANGE_MAILBOX_MADE}
    found = _results(view, wanted)
    perhaps = touched.union(view.mailboxes) if touched and wanted.depends_on_others else touched
    removed = [*found, *sorted(perhaps.difference(found))] if touched else []
    added = list(enumerate(found)) if touched else []
    if asked.max_changes is not None and len(removed) + len(added) > asked.max_changes:
        raise MethodError("tooManyChanges")
    answer: JsonObject = {
        "accountId": context.account_id,
        "oldQueryState": asked.since_query_state,
        "newQueryState": state_of(view, "Mailbox"),
        "removed": [ids.mailbox_id(each) for each in removed],
        "added": [{"id": ids.mailbox_id(each), "index": index} for index, each in added],
    }
    if asked.is_total_wanted:
        answer["total"] = len(found)
    return answer


def _query(taken: Arguments, filter_: filters.Filter | None, sort: tuple[filters.Comparator, ...]) -> _Query:
    wanted = _Query(
        filter_,
        sort,
        is_sorted_as_tree=taken.boolean("sortAsTree", default=False),
        is_filtered_as_tree=taken.boolean("filterAsTree", default=False),
    )
    taken.end()
    return wanted


def _asks_for_parents(wanted: filters.Filter | None) -> bool:
    match wanted:
        case filters.FilterOperator(_, conditions):
            return any(map(_asks_for_parents, conditions))
        case filters.FilterCondition(properties):
            return "parentId" in properties or "name" in properties  # what is called Sub/C below a missing Sub
        case _:
            return False


def _results(view: AccountView, wanted: _Query) -> list[MailboxId]:
    """Raises InvalidArguments, unsupportedFilter, unsupportedSort."""
    tree = tree_of(view)
    matches = _filter(view, tree, wanted.filter, 0)
    found = {each for each in view.mailboxes if matches(each)}
    if wanted.is_filtered_as_tree:
        found = {each for each in found if found.issuperset(ancestors(each, tree))}
    order = _sorted(view, tree, list(view.mailboxes), wanted.sort)
    if wanted.is_sorted_as_tree:
        order = _as_tree(order, tree)
    return [each for each in order if each in found]


def _filter(view: AccountView, tree: Mapping[MailboxId, Place], given: filters.Filter | None, depth: int) -> Matches:
    if depth > DEEPEST:
        raise MethodError("unsupportedFilter", f"at most {DEEPEST} operators within each other")
    match given:
        case None:
            return lambda _mailbox: True
        case filters.FilterOperator(operator, conditions):
            among = [_filter(view, tree, each, depth + 1) for each in conditions]
            match operator:
                case filters.Operator.AND:
                    return lambda mailbox: all(each(mailbox) for each in among)
                case filters.Operator.OR:
                    return lambda mailbox: any(each(mailbox) for each in among)
                case filters.Operator.NOT:
                    return lambda mailbox: not any(each(mailbox) for each in among)
        case filters.FilterCondition(properties):
            several = [_condition(view, tree, name, value) for name, value in properties.items()]
            return lambda mailbox: all(each(mailbox) for each in several)


def _condition(view: AccountView, tree: Mapping[MailboxId, Place], name: str, value: object) -> Matches:
    boxes: Mapping[MailboxId, Mailbox] = view.mailboxes
    where = f"filter/{name}"
    match name:
        case "parentId":
            if value is None:
                return lambda mailbox: tree[mailbox].parent is None
            parent = ids.parse_mailbox_id(as_id(where, value))
            return lambda mailbox: parent is not None and tree[mailbox].parent == parent
        case "name":
            text = fold(as_string(where, value))
            return lambda mailbox: text in fold(tree[mailbox].name)
        case "role":
            role = None if value is None else as_string(where, value)
            return lambda mailbox: role_of(boxes[mailbox]) == role
        case "hasAnyRole":
            has_role = as_boolean(where, value)
            return lambda mailbox: (role_of(boxes[mailbox]) is not None) == has_role
        case "isSubscribed":
            is_subscribed = as_boolean(where, value)
            return lambda mailbox: boxes[mailbox].is_subscribed == is_subscribed
        case _:
            raise MethodError("unsupportedFilter", f"no such condition: {name}")


def _sorted(
    view: AccountView,
    tree: Mapping[MailboxId, Place],
    found: list[MailboxId],
    sort: Sequence[filters.Comparator],
) -> list[MailboxId]:
    """Those that are alike stand by name and id."""
    by_name = filters.Comparator("name")
    found.sort(key=lambda each: (_key(view, tree, by_name, each), each))
    for comparator in reversed(sort or (filters.Comparator("sortOrder"), by_name)):
        if comparator.more:
            raise InvalidArguments(f"sort: unknown property of a comparator: {min(comparator.more)}")
        found.sort(
            key=lambda each, by=comparator: _key(view, tree, by, each),  # type: ignore[misc]
            reverse=not comparator.is_ascending,
        )
    return found


def _key(view: AccountView, tree: Mapping[MailboxId, Place], by: filters.Comparator, mailbox: MailboxId) -> Any:
    collation: Collation = collation_of(by.collation)
    match by.property:
        case "name":
            return text_key(tree[mailbox].name, collation)
        case "sortOrder":
            return sort_order_of(view, view.mailboxes[mailbox])
        case _:
            raise MethodError("unsupportedSort", f"no such property to sort by: {by.property}")


def _as_tree(order: Sequence[MailboxId], tree: Mapping[MailboxId, Place]) -> list[MailboxId]:
    """Children in their order, each right behind its parent and what stands below its elder siblings."""
    children: dict[MailboxId | None, list[MailboxId]] = {}
    for each in order:
        children.setdefault(tree[each].parent, []).append(each)
    found: list[MailboxId] = []
    waiting = list(reversed(children.get(None, ())))
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting += reversed(children.get(each, ()))
    return found


METHODS = (Method("Mailbox/query", MAIL, query), Method("Mailbox/queryChanges", MAIL, changes_of_query))
