"""The states before and after what a /set did, as a client may rely on them (RFC 8620 §5.3).

A client that knows `oldState` takes `newState` for its own and asks for nothing in between. So where others changed the
account meanwhile, the states are drawn in around our own changes; if the others came between those, nobody can tell the
old state, and it is null.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mailserver.services.account_view import AccountView
from storage.account_log import Logged
from storage.errors import StoreUnavailable
from storage.mailboxes import CHANGE_FLAGS, CHANGE_PLACED, CHANGE_REMOVED
from storage.type_states import COUNTED_FLAGS
from storage.types import Modseq
from webmail.jmap.errors import MethodError
from webmail.jmap.method import Context
from webmail.jmap.states import state_of

IsOfType = Callable[[Logged], bool]


def is_of_email(row: Logged) -> bool:
    return row.kind in (CHANGE_PLACED, CHANGE_FLAGS, CHANGE_REMOVED)


def is_of_mailbox(row: Logged) -> bool:
    return row.kind != CHANGE_FLAGS or bool((row.flags_before ^ row.flags_after) & COUNTED_FLAGS)


async def states_around(
    context: Context,
    before: AccountView,
    after: AccountView,
    own: Sequence[Modseq],
    type_name: str,
    is_of_type: IsOfType,
) -> tuple[str | None, str]:
    """The old state and the new one. `own` are the modseqs that our changes took."""
    old, new = state_of(before, type_name), state_of(after, type_name)
    if before.epoch != after.epoch or after.modseq - before.modseq <= len(set(own)):
        return old, new
    logged = await context.parts.account_views.log(context.who, after, before.modseq + 1)
    if logged is None:
        return None, new
    of_others = {row.modseq for row in logged if row.modseq not in own and is_of_type(row)}
    of_ours = {row.modseq for row in logged if row.modseq in own and is_of_type(row)}
    if not of_others or not of_ours:
        return (old, new) if not of_others else (new, new)
    first, last = min(of_ours), max(of_ours)
    if any(first < each < last for each in of_others):
        return None, new
    earlier = [each for each in of_others if each < first]
    if earlier:
        old = f"{after.epoch}-{max(earlier)}"
    if any(each > last for each in of_others):
        new = f"{after.epoch}-{last}"
    return old, new


@contextmanager
def said_in_part(own: Sequence[Modseq]) -> Iterator[None]:
    """What is refused here after changes of ours were committed must not look as if nothing had happened: a client
    would make its draft once more (RFC 8620 §3.6.2, serverPartialFail)."""
    try:
        yield
    except (MethodError, StoreUnavailable):
        if not own:
            raise
        raise MethodError("serverPartialFail", "a part of it was done: ask what changed") from None
