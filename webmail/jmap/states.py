"""States as clients see them, `<epoch>-<modseq>`, and what changed since one (RFC 8620 §1.6.2, §5.2).

An account that was restored is in a later epoch, and what its states of before meant nobody knows: then, and where the
log no longer reaches back, changes cannot be calculated. A third number stands in states between two changes of one
modseq: of that modseq, only objects up to this id are behind it.
"""

import asyncio
import re
from collections.abc import Callable, Sequence

from mailserver.services.account_changes import Changes, Kind, Place, changes
from mailserver.services.account_view import AccountView
from storage.account_log import Logged
from storage.types import Modseq
from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.method import Context
from webmail.jmap.standard import StandardChanges

_IN_A_THREAD_ROWS = 2_000
_STATE = re.compile(r"([0-9]{1,10})-([0-9]{1,19})(?:-([0-9]{1,19}))?", re.ASCII)


def state_of(view: AccountView, type_name: str) -> str:
    """The state of a type: Email, Thread, Mailbox, or one that has a row in `type_state`."""
    return f"{view.epoch}-{view.states.of(type_name)}"


def place_of(view: AccountView, state: str) -> Place:
    """Raises cannotCalculateChanges for a state that the log does not lead on from, or that nobody was given."""
    found = _STATE.fullmatch(state)
    if found is None or int(found[1]) != view.epoch:
        raise MethodError("cannotCalculateChanges")
    modseq = Modseq(int(found[2]))
    place = Place(modseq) if found[3] is None else Place(modseq, int(found[3]))
    if place.first_modseq <= view.states.floor or modseq > view.modseq:
        raise MethodError("cannotCalculateChanges")
    return place


async def logged_since(context: Context, view: AccountView, place: Place, type_name: str) -> Sequence[Logged]:
    """The log from a place to where the view stands; nothing is read where nothing of the type happened.

    Raises cannotCalculateChanges: there is more of it than anybody wants to hear.
    """
    if Place(view.states.of(type_name)) <= place:
        return ()
    logged = await context.parts.account_views.log(context.who, view, place.first_modseq)
    if logged is None:
        raise MethodError("cannotCalculateChanges")
    return logged


async def told_changes(
    context: Context,
    asked: StandardChanges,
    kind: Kind,
    write_id: Callable[[int], str],
) -> tuple[JsonObject, Changes]:
    """What a /changes answers, and what it is made of. Raises cannotCalculateChanges."""
    view = await context.parts.account_views.of(context.who)
    since = place_of(view, asked.since_state)
    logged = await logged_since(context, view, since, kind.value)
    if len(logged) > _IN_A_THREAD_ROWS:
        found = await asyncio.to_thread(changes, kind, view, logged, since, asked.max_changes)
    else:
        found = changes(kind, view, logged, since, asked.max_changes)
    if found is None:
        raise MethodError("cannotCalculateChanges")
    reached = found.reached
    return {
        "accountId": context.account_id,
        "oldState": asked.since_state,
        "newState": f"{view.epoch}-{reached.modseq}-{reached.up_to}" if found.has_more else state_of(view, kind.value),
        "hasMoreChanges": found.has_more,
        "created": [write_id(each) for each in found.created],
        "updated": [write_id(each) for each in found.updated],
        "destroyed": [write_id(each) for each in found.destroyed],
    }, found
