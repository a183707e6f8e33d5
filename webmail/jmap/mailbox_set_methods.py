"""Mailbox/set (RFC 8621 §2.5)."""

from collections.abc import Callable, Mapping
from typing import Any

from mailserver.services.account_view import AccountView
from mailserver.services.email_changing import AccountMoved
from mailserver.services.mailbox_changing import MailboxesChanged, change_mailboxes
from mailserver.services.mailbox_forest import Key, Node, Reason, Refusal, Update
from mailserver.services.mailboxes import SPECIAL_USES
from storage.types import MailboxId
from webmail.jmap import ids
from webmail.jmap.arguments import Arguments
from webmail.jmap.errors import JsonObject, MethodError, SetError
from webmail.jmap.limits import MAIL
from webmail.jmap.mailbox_methods import COUNTS, PROPERTIES, shown, tree_of
from webmail.jmap.method import Context, Method
from webmail.jmap.patches import parse_patch
from webmail.jmap.set_states import is_of_mailbox, said_in_part, states_around
from webmail.jmap.standard import StandardSet
from webmail.jmap.states import state_of

_USES = {use.removeprefix("\\").lower(): use for use in SPECIAL_USES}
_SERVER_SET = frozenset({"id", "myRights", *COUNTS})
_LARGEST_ORDER = 2**31 - 1
_KINDS = {
    Reason.NOT_FOUND: "notFound",
    Reason.FORBIDDEN: "forbidden",
    Reason.INVALID: "invalidProperties",
    Reason.EXISTS: "alreadyExists",
    Reason.TOO_MANY: "overQuota",
    Reason.HAS_CHILD: "mailboxHasChild",
    Reason.HAS_EMAIL: "mailboxHasEmail",
}


async def set_(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_set()
    removes_emails = taken.boolean("onDestroyRemoveEmails", default=False)
    taken.end()
    before = await context.parts.account_views.of(context.who)
    asked.demand_state(state_of(before, "Mailbox"))
    reading = _Reading(context, before, asked)
    try:
        changed = await change_mailboxes(
            context.parts.store,
            context.who,
            reading.creates,
            reading.updates,
            list(reading.destroys),
            removes_emails=removes_emails,
            unchanged_since=before.modseq if asked.if_in_state is not None else None,
        )
    except AccountMoved:
        raise MethodError("stateMismatch") from None
    for creation_id, made in changed.made.items():
        context.created_ids[creation_id] = ids.mailbox_id(made)
    with said_in_part(changed.modseqs):
        after = await context.parts.account_views.of(context.who)
        old_state, new_state = await states_around(context, before, after, changed.modseqs, "Mailbox", is_of_mailbox)
    return {
        "accountId": context.account_id,
        "oldState": old_state,
        "newState": new_state,
        **_answers(asked, reading, changed, before, after),
    }


class _Reading:
    """What is asked, read: values that are none are refused before anything is tried."""

    def __init__(self, context: Context, view: AccountView, asked: StandardSet) -> None:
        self._context = context
        self._view = view
        self._asked = asked
        self.creates: dict[str, Node] = {}
        self.updates: dict[MailboxId, Update] = {}
        self.destroys: dict[MailboxId, str] = {}
        self.named: dict[MailboxId, str] = {}
        self.not_created: dict[str, SetError] = {}
        self.not_updated: dict[str, SetError] = {}
        self.not_destroyed: dict[str, SetError] = {}
        for creation_id, given in asked.create.items():
            try:
                self.creates[creation_id] = self._creation(given)
            except SetError as error:
                self.not_created[creation_id] = error
        for text in asked.destroy:
            real = context.real_id(text)
            mailbox = ids.parse_mailbox_id(real)
            if mailbox is None or mailbox in self.destroys:
                self.not_destroyed[real] = SetError("notFound")
            else:
                self.destroys[mailbox] = real
        for text, patch in asked.update.items():
            real = context.real_id(text)
            try:
                mailbox = ids.parse_mailbox_id(real)
                if mailbox is None or mailbox not in view.mailboxes:
                    raise SetError("notFound")
                if mailbox in self.destroys:
                    raise SetError("willDestroy")
                self.updates[mailbox] = self._update(mailbox, patch)
                self.named[mailbox] = real
            except SetError as error:
                self.not_updated[real] = error

    def _creation(self, given: JsonObject) -> Node:
        wrong = [name for name in given if name in _SERVER_SET or name not in PROPERTIES]
        if wrong:
            raise SetError("invalidProperties", "only the server sets them, or they are none", tuple(wrong))
        if "name" not in given:
            raise SetError("invalidProperties", "a mailbox has a name", ("name",))
        update = self._values(given)
        return update.applied(Node("", None))

    def _update(self, mailbox: MailboxId, given: JsonObject) -> Update:
        patch = parse_patch(given)
        current = shown(self._view, tree_of(self._view), mailbox)
        if wrong := patch.members.keys() - {"myRights"}:
            raise SetError("invalidPatch", f"{min(wrong)} is no object")
        rights = patch.members.get("myRights", {})
        if any(current["myRights"].get(name) != value for name, value in rights.items()):
            raise SetError("invalidProperties", "the server sets it", ("myRights",))
        changed = {name: value for name, value in patch.whole.items() if not _is(value, current.get(name, patch))}
        wrong_names = [name for name in changed if name in _SERVER_SET or name not in PROPERTIES]
        if wrong_names:
            raise SetError("invalidProperties", "only the server sets them, or they are none", tuple(wrong_names))
        return self._values(changed)

    def _values(self, given: Mapping[str, Any]) -> Update:
        """Raises SetError that names all that are wrong."""
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for name, value in given.items():
            attribute, read = self._READ[name]
            try:
                values[attribute] = read(self, value)
            except ValueError as error:
                wrong[name] = str(error)
        if wrong:
            name, why = next(iter(wrong.items()))
            raise SetError("invalidProperties", f"{name}: {why}", tuple(wrong))
        return Update(**values)

    def _name(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("it must be a string")
        return value

    def _parent(self, value: Any) -> Key | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError("it must be an id or null")
        if value.startswith("#") and value[1:] in self._asked.create:
            return value[1:]
        found = ids.parse_mailbox_id(self._context.real_id(value))
        if found is None:
            raise ValueError("there is no such mailbox")
        return found

    def _role(self, value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or value not in _USES:
            raise ValueError("there are no mailboxes of this role here")
        return _USES[value]

    def _order(self, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_ORDER:
            raise ValueError("it must be an integer from 0 to 2^31 - 1")
        return value

    def _subscribed(self, value: Any) -> bool:
        if value is None:
            return True
        if not isinstance(value, bool):
            raise ValueError("it must be true or false")
        return value

    _READ: Mapping[str, tuple[str, Callable[["_Reading", Any], Any]]] = {
        "name": ("name", _name),
        "parentId": ("parent", _parent),
        "role": ("special_use", _role),
        "sortOrder": ("sort_order", _order),
        "isSubscribed": ("is_subscribed", _subscribed),
    }


def _is(value: Any, current: Any) -> bool:
    """Is it what is there? True is not 1."""
    return type(value) is type(current) and bool(value == current)


def _answers(
    asked: StandardSet, reading: _Reading, changed: MailboxesChanged, before: AccountView, after: AccountView
) -> JsonObject:
    created = {
        creation_id: _unsaid(_shown(after, mailbox), asked.create[creation_id])
        for creation_id, mailbox in changed.made.items()
    }
    updated = {
        reading.named[mailbox]: _also_changed(before, after, mailbox, update)
        for mailbox, update in reading.updates.items()
        if mailbox not in changed.refused_updates
    }
    not_created = reading.not_created | {key: _error(why, changed.made) for key, why in changed.refused_creates.items()}
    not_updated = reading.not_updated | {
        reading.named[key]: _error(why, changed.made) for key, why in changed.refused_updates.items()
    }
    not_destroyed = reading.not_destroyed | {
        reading.destroys[key]: _error(why, changed.made) for key, why in changed.refused_destroys.items()
    }
    return {
        "created": created or None,
        "updated": updated or None,
        "destroyed": [reading.destroys[mailbox] for mailbox in changed.destroyed] or None,
        "notCreated": _errors(not_created),
        "notUpdated": _errors(not_updated),
        "notDestroyed": _errors(not_destroyed),
    }


def _shown(view: AccountView, mailbox: MailboxId) -> JsonObject:
    """Empty for one that somebody has destroyed since."""
    return shown(view, tree_of(view), mailbox) if mailbox in view.mailboxes else {}


def _unsaid(record: JsonObject, given: JsonObject) -> JsonObject:
    """What the client did not send, or what became something else."""
    return {name: value for name, value in record.items() if name == "id" or not _is(given.get(name, record), value)}


def _also_changed(before: AccountView, after: AccountView, mailbox: MailboxId, update: Update) -> JsonObject | None:
    """What changed although nobody asked for it: the place among others that goes with a role, a name composed."""
    was, now = _shown(before, mailbox), _shown(after, mailbox)
    also = {}
    if "sortOrder" in now and now["sortOrder"] != was.get("sortOrder") and not isinstance(update.sort_order, int):
        also["sortOrder"] = now["sortOrder"]
    if isinstance(update.name, str) and "name" in now and now["name"] != update.name:
        also["name"] = now["name"]
    return also or None


def _error(refusal: Refusal, made: Mapping[str, MailboxId]) -> SetError:
    """`existing` may be what the same call made: then it is called by its id."""
    existing = made.get(refusal.existing) if isinstance(refusal.existing, str) else refusal.existing
    more = {} if existing is None else {"existingId": ids.mailbox_id(existing)}
    return SetError(_KINDS[refusal.reason], refusal.detail, refusal.properties, more)


def _errors(errors: Mapping[str, SetError]) -> JsonObject | None:
    return {name: error.arguments() for name, error in errors.items()} or None


METHODS = (Method("Mailbox/set", MAIL, set_),)
