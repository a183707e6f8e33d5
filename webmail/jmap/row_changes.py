"""/changes, and a /set's answer, of types whose rows know their own modseq: Identity, EmailSubmission (RFC 8620 §5).

Rows that were destroyed stay as tombstones for as long as states reach back to them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailserver.services.account_changes import Place
from mailserver.services.account_view import AccountView
from storage.identities import ChangedRow
from storage.types import Modseq
from webmail.jmap.errors import JsonObject, SetError
from webmail.jmap.method import Context
from webmail.jmap.standard import StandardChanges
from webmail.jmap.states import place_of

ReadChanged = Callable[[Modseq], Awaitable[Sequence[ChangedRow]]]
"""The rows whose last change came after a modseq, in the order of those."""


@dataclass(slots=True)
class SetResults:
    """What came of each object of a /set, by the ids that the client used."""

    created: dict[str, JsonObject] = field(default_factory=dict)
    updated: dict[str, JsonObject | None] = field(default_factory=dict)
    destroyed: list[str] = field(default_factory=list)
    not_created: dict[str, SetError] = field(default_factory=dict)
    not_updated: dict[str, SetError] = field(default_factory=dict)
    not_destroyed: dict[str, SetError] = field(default_factory=dict)

    def response(self, context: Context, old_state: str | None, new_state: str) -> JsonObject:
        return {
            "accountId": context.account_id,
            "oldState": old_state,
            "newState": new_state,
            "created": self.created or None,
            "updated": self.updated or None,
            "destroyed": self.destroyed or None,
            "notCreated": _told(self.not_created),
            "notUpdated": _told(self.not_updated),
            "notDestroyed": _told(self.not_destroyed),
        }


async def told_row_changes(
    context: Context, asked: StandardChanges, type_name: str, read: ReadChanged, write_id: Callable[[int], str]
) -> JsonObject:
    """What a /changes answers. Raises cannotCalculateChanges."""
    view = await context.parts.account_views.of(context.who)
    since = place_of(view, asked.since_state)
    rows = [] if Place(view.states.of(type_name)) <= since else await read(Modseq(since.first_modseq - 1))
    later = [row for row in rows if Place(Modseq(row.modseq), row.id) > since]
    told = later if asked.max_changes is None else later[: asked.max_changes]
    has_more = len(told) < len(later)
    created: list[str] = []
    updated: list[str] = []
    destroyed: list[str] = []
    for row in told:
        was_there = Place(Modseq(row.created_modseq), row.id) <= since
        if row.is_destroyed:
            destroyed += [write_id(row.id)] if was_there else []
        else:
            (updated if was_there else created).append(write_id(row.id))
    reached = max([view.states.of(type_name), *(row.modseq for row in rows)])  # rows may be newer than the view
    new_state = f"{view.epoch}-{told[-1].modseq}-{told[-1].id}" if has_more else f"{view.epoch}-{reached}"
    return {
        "accountId": context.account_id,
        "oldState": asked.since_state,
        "newState": new_state,
        "hasMoreChanges": has_more,
        "created": created,
        "updated": updated,
        "destroyed": destroyed,
    }


async def states_around_rows(
    context: Context,
    before: AccountView,
    type_name: str,
    read: ReadChanged,
    write_id: Callable[[int], str],
    results: SetResults,
    *,
    at: Modseq | None = None,
) -> tuple[str | None, str]:
    """The old and the new state of a /set, drawn in around what it did (`set_states`): what others did after it comes
    with the next /changes. The old one is null where they did something before it, or between.

    `at`: what all its changes took together. Without it the rows say when they were changed last; what somebody
    destroyed that was updated here says nothing of that, and is told anew.
    """
    made = {each["id"] for each in results.created.values()}
    ours = made.union(results.updated, results.destroyed)
    old = before.states.of(type_name)
    last = old
    at_others: list[int] = []
    for row in await read(old) if ours else ():
        name = write_id(row.id)
        if name not in ours or (at is None and name in results.updated and row.is_destroyed):
            own = None
        else:
            own = at or (row.created_modseq if name in made else row.modseq)
            last = Modseq(max(last, own))
        if row.modseq != own:
            at_others.append(row.modseq)
    is_known = all(each > last for each in at_others)
    return f"{before.epoch}-{old}" if is_known else None, f"{before.epoch}-{last}"


def _told(errors: Mapping[str, SetError]) -> dict[str, Any] | None:
    return {name: error.arguments() for name, error in errors.items()} or None
