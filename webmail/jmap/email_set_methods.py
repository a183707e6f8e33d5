"""Email/set, Email/copy and Email/import (RFC 8621 §4.6 to §4.8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailserver.services.account_view import AccountView
from mailserver.services.email_changing import MAILBOXES_PER_EMAIL, AccountMoved, EmailChange, Refused, change_emails
from storage.types import MessageId, Modseq, SystemFlag
from webmail.jmap.answer_room import AnswerRoom
from webmail.jmap.arguments import Arguments
from webmail.jmap.email_changes_read import EmailPatch, agrees, read_update
from webmail.jmap.email_get_methods import email_objects
from webmail.jmap.email_keywords import keywords_of
from webmail.jmap.email_making import Made, import_email, make_email
from webmail.jmap.email_wanted import PART_PROPERTIES, PROPERTIES, PartWanted, ValuesWanted, Wanted
from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError, SetError
from webmail.jmap.header_properties import CONVENIENCE, NotAHeaderProperty, parse_header_property
from webmail.jmap.ids import parse_email_id, thread_id
from webmail.jmap.limits import MAIL
from webmail.jmap.method import Context, Method
from webmail.jmap.set_states import is_of_email, said_in_part, states_around
from webmail.jmap.standard import StandardSet
from webmail.jmap.states import state_of

_REFUSALS: Mapping[Refused, SetError] = {
    Refused.NOT_FOUND: SetError("notFound"),
    Refused.NO_MAILBOX: SetError("invalidProperties", "an Email is in one mailbox at least", ("mailboxIds",)),
    Refused.MAILBOX_NOT_FOUND: SetError("invalidProperties", "there is no such mailbox", ("mailboxIds",)),
    Refused.TOO_MANY_MAILBOXES: SetError("tooManyMailboxes", f"at most {MAILBOXES_PER_EMAIL}"),
    Refused.TOO_MANY_KEYWORDS: SetError("tooManyKeywords"),
}


@dataclass(slots=True)
class _Done:
    """What came of a call, by the ids that the client used."""

    made: dict[str, Made] = field(default_factory=dict)
    updated: dict[str, MessageId | None] = field(default_factory=dict)
    """with the message whose keywords are to be told"""
    destroyed: list[str] = field(default_factory=list)
    not_created: dict[str, SetError] = field(default_factory=dict)
    not_updated: dict[str, SetError] = field(default_factory=dict)
    not_destroyed: dict[str, SetError] = field(default_factory=dict)
    modseqs: list[Modseq] = field(default_factory=list)


async def set_(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_set()
    taken.end()
    before = await context.parts.account_views.of(context.who)
    asked.demand_state(state_of(before, "Email"))
    done = _Done()
    for creation_id, email in asked.create.items():
        try:
            made = done.made[creation_id] = await make_email(context, email)
        except SetError as error:
            done.not_created[creation_id] = error
            continue
        done.modseqs += made.modseqs
        context.has_changed = True
        context.created_ids[creation_id] = made.shown()["id"]
    with said_in_part(done.modseqs):
        await _change(context, before, asked, done)
        after = await context.parts.account_views.of(context.who)
        old_state, new_state = await states_around(context, before, after, done.modseqs, "Email", is_of_email)
    return {
        "accountId": context.account_id,
        "oldState": old_state,
        "newState": new_state,
        "created": _created(after, done.made),
        "updated": {real: _told(after, message) for real, message in done.updated.items()} or None,
        "destroyed": done.destroyed or None,
        "notCreated": _errors(done.not_created),
        "notUpdated": _errors(done.not_updated),
        "notDestroyed": _errors(done.not_destroyed),
    }


def _created(view: AccountView, made: Mapping[str, Made]) -> JsonObject | None:
    created: JsonObject = {}
    for creation_id, each in made.items():
        thread = view.thread_of(each.added.message_id)
        created[creation_id] = {**each.shown(), "threadId": None if thread is None else thread_id(thread)}
    return created or None


def _told(view: AccountView, message: MessageId | None) -> JsonObject | None:
    """What changed otherwise than the client said."""
    if message is None:
        return None
    return {"keywords": keywords_of(view.flags_of(message), view.keywords_of(message))}


def _errors(errors: Mapping[str, SetError]) -> JsonObject | None:
    return {name: error.arguments() for name, error in errors.items()} or None


async def _change(context: Context, before: AccountView, asked: StandardSet, done: _Done) -> None:
    """Updates and destructions, in one transaction as far as one takes them."""
    destroyed: dict[MessageId, str] = {}
    for given in asked.destroy:
        real = context.real_id(given)
        message = parse_email_id(real)
        if message is None or message in destroyed:
            done.not_destroyed[real] = SetError("notFound")
        else:
            destroyed[message] = real
    patches: dict[MessageId, tuple[str, EmailPatch]] = {}
    for given, patched in asked.update.items():
        real = context.real_id(given)
        message = parse_email_id(real)
        try:
            if message is None:
                raise SetError("notFound")
            if message in destroyed:
                raise SetError("willDestroy")
            if message in patches:
                raise SetError("invalidPatch", "the same Email is named twice")
            patches[message] = (real, read_update(context, message, patched))
        except SetError as error:
            done.not_updated[real] = error
    await _check_unchanged(context, patches, done)
    changes = [patch.change for _, patch in patches.values()]
    changes += [EmailChange(message, is_destroyed=True) for message in destroyed]
    if not changes:
        return
    try:
        changed = await change_emails(
            context.parts.store,
            context.who,
            changes,
            superseded=_superseded(before, list(destroyed), done),
            unchanged_since=before.modseq if asked.if_in_state is not None else None,
            own=done.modseqs,
        )
    except AccountMoved:
        raise MethodError("stateMismatch") from None
    done.modseqs += changed.modseqs
    for message, (real, patch) in patches.items():
        if message in changed.refused:
            done.not_updated[real] = _REFUSALS[changed.refused[message]]
        else:
            done.updated[real] = message if patch.lowers_keywords else None
    for message, real in destroyed.items():
        if message in changed.refused:
            done.not_destroyed[real] = _REFUSALS[changed.refused[message]]
        else:
            done.destroyed.append(real)


def _superseded(before: AccountView, destroyed: Sequence[MessageId], done: _Done) -> Sequence[MessageId]:
    """Drafts that go while as many come: older versions of those, which nobody will want back."""
    drafts = [message for message in destroyed if before.flags_of(message) & SystemFlag.DRAFT]
    return drafts if len(drafts) <= sum(made.is_draft for made in done.made.values()) else ()


async def _check_unchanged(context: Context, patches: dict[MessageId, tuple[str, EmailPatch]], done: _Done) -> None:
    """A client may send what it cannot change along, as long as it is as it was (RFC 8620 §5.3)."""
    if not any(patch.unchanged for _, patch in patches.values()):
        return
    view = await context.parts.account_views.of(context.who)
    for message, (real, patch) in list(patches.items()):
        if not patch.unchanged or not view.is_shown(message):
            continue
        wrong = await _changed_properties(context, view, message, patch.unchanged)
        if wrong:
            del patches[message]
            done.not_updated[real] = SetError("invalidProperties", "they cannot be changed", wrong)


async def _changed_properties(
    context: Context, view: AccountView, message: MessageId, given: JsonObject | Mapping[str, object]
) -> tuple[str, ...]:
    headers = []
    known = set()
    for name in given:
        if name in CONVENIENCE:
            headers.append(CONVENIENCE[name])
        elif name.startswith("header:"):
            try:
                headers.append(parse_header_property(name))
            except NotAHeaderProperty:
                continue
        elif name not in PROPERTIES:
            continue
        known.add(name)
    wanted = Wanted(
        frozenset(known), tuple(headers), PartWanted(PART_PROPERTIES, ()), ValuesWanted(False, False, True, 0)
    )
    current = (await email_objects(context, view, [message], wanted, AnswerRoom())).get(message, {})
    return tuple(name for name, value in given.items() if name not in current or not agrees(value, current[name]))


async def copy(context: Context, arguments: JsonObject) -> JsonObject:
    """A person sees one account, so that there is no other to copy from."""
    taken = Arguments(context, arguments)
    taken.account()
    source = taken.id("fromAccountId")
    taken.string_or_null("ifFromInState")
    taken.string_or_null("ifInState")
    taken.demand_few(len(taken.map_of_objects("create")))
    taken.boolean("onSuccessDestroyOriginal", default=False)
    taken.string_or_null("destroyFromIfInState")
    taken.end()
    if source == context.account_id:
        raise InvalidArguments("fromAccountId and accountId must be different")
    raise MethodError("fromAccountNotFound")


async def import_(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    taken.account()
    if_in_state = taken.string_or_null("ifInState")
    emails = taken.map_of_objects("emails")
    taken.end()
    taken.demand_few(len(emails))
    before = await context.parts.account_views.of(context.who)
    if if_in_state is not None and if_in_state != state_of(before, "Email"):
        raise MethodError("stateMismatch")
    made: dict[str, Made] = {}
    not_created: dict[str, SetError] = {}
    for creation_id, email in emails.items():
        try:
            made[creation_id] = await import_email(context, email)
        except SetError as error:
            not_created[creation_id] = error
            continue
        context.has_changed = True
        context.created_ids[creation_id] = made[creation_id].shown()["id"]
    own = [modseq for each in made.values() for modseq in each.modseqs]
    with said_in_part(own):
        after = await context.parts.account_views.of(context.who)
        old_state, new_state = await states_around(context, before, after, own, "Email", is_of_email)
    return {
        "accountId": context.account_id,
        "oldState": old_state,
        "newState": new_state,
        "created": _created(after, made),
        "notCreated": _errors(not_created),
    }


METHODS = (
    Method("Email/set", MAIL, set_),
    Method("Email/copy", MAIL, copy),
    Method("Email/import", MAIL, import_),
)
