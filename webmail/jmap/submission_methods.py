"""EmailSubmission/get, changes, query, queryChanges, set (RFC 8621 §7)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import assert_never, get_args

from mailserver.services.account_view import AccountView
from mailserver.services.errors import OriginatorInvalid, SenderNotOwned
from mailserver.services.identities import identities
from mailserver.services.submission_errors import (
    MayNotSend,
    MessageTooBig,
    MessageUnfit,
    NobodyToSendTo,
    NotOfIdentity,
    RecipientsRefused,
    TooManyRecipients,
    TooManyWait,
)
from mailserver.services.submissions import Submitted, WriteEnvelope
from storage import submissions as stored
from storage.errors import (
    ColdTierUnavailable,
    KeyUnusable,
    MessageGone,
    SendingLimitReached,
    StorageError,
    StoreUnavailable,
)
from storage.identities import ChangedRow
from storage.submissions import TYPE_NAME, Submission, SubmissionFacts, UndoStatus
from storage.types import MessageId, Modseq, SubmissionId
from webmail.jmap.arguments import Arguments
from webmail.jmap.errors import JsonObject, MethodError, SetError
from webmail.jmap.ids import email_id, parse_email_id, parse_identity_id, parse_submission_id, submission_id
from webmail.jmap.limits import SUBMISSION
from webmail.jmap.method import Context, Method
from webmail.jmap.patches import parse_patch
from webmail.jmap.row_changes import SetResults, states_around_rows, told_row_changes
from webmail.jmap.states import place_of, state_of
from webmail.jmap.submission_envelopes import kept_envelope, read_envelope, write_envelope
from webmail.jmap.submission_objects import PROPERTIES, submission_objects, submissions
from webmail.jmap.submission_queries import matching
from webmail.jmap.windows import window

MOST_IDS = 20_000
_CREATED_WITH = frozenset({"identityId", "emailId", "envelope"})
_LIMIT_WORDS = {
    "en": "You have written to as many people as you may for now. Try again later.",
    "zh": "您目前的发信数量已达上限，请稍后再试。",
}
_NO_ADDRESS_WORDS = {"en": "None of your addresses can send mail now.", "zh": "您的地址目前都不能发送邮件。"}
_Refused = (
    SenderNotOwned
    | NotOfIdentity
    | OriginatorInvalid
    | MessageUnfit
    | MessageTooBig
    | NobodyToSendTo
    | RecipientsRefused
    | TooManyRecipients
    | TooManyWait
    | SendingLimitReached
    | MayNotSend
)


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_get(PROPERTIES)
    taken.end()
    view = await context.parts.account_views.of(context.who)
    if asked.ids is None:
        facts = await _facts(context)
        asked.demand_few(len(facts))
        read = {submission_id(SubmissionId(each.id)): SubmissionId(each.id) for each in facts}
    else:
        read = {each: number for each in asked.ids if (number := parse_submission_id(each)) is not None}
    found = await submissions(context, read.values())
    shown = await submission_objects(
        context,
        [found[number] for number in read.values() if number in found],
        with_status=asked.wants("deliveryStatus"),
    )
    return {
        "accountId": context.account_id,
        "state": state_of(view, TYPE_NAME),
        "list": [asked.shown(each) for each in shown],
        "notFound": [each for each in asked.ids or () if read.get(each) not in found],
    }


async def changes(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_changes()
    taken.end()
    return await told_row_changes(context, asked, TYPE_NAME, partial(_changed, context), _id)


def _id(number: int) -> str:
    return submission_id(SubmissionId(number))


async def query(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_query()
    taken.end()
    view = await context.parts.account_views.of(context.who)
    found = matching(await _facts(context), asked.filter, asked.sort, context.real_id)

    def index_of(anchor: str) -> int | None:
        number = parse_submission_id(context.real_id(anchor))
        return found.index(number) if number in found else None

    shown = window(asked, lambda: len(found), index_of, most=MOST_IDS)
    answer: JsonObject = {
        "accountId": context.account_id,
        "queryState": state_of(view, TYPE_NAME),
        "canCalculateChanges": True,
        "position": shown.begin,
        "ids": [submission_id(SubmissionId(each)) for each in found[shown.begin : shown.end]],
    }
    if asked.is_total_wanted:
        answer["total"] = len(found)
    if shown.limit_set is not None:
        answer["limit"] = shown.limit_set
    return answer


async def query_changes(context: Context, arguments: JsonObject) -> JsonObject:
    """Whatever changed since is told as removed, and as added where it is found now (RFC 8620 §5.6).

    What changes meanwhile is told twice, now and next time: the account is looked at first and what changed is read
    last, so that a client knows, or is told, where all that is found stands.
    """
    taken = Arguments(context, arguments)
    asked = taken.standard_query_changes()
    taken.end()
    view = await context.parts.account_views.of(context.who)
    since = place_of(view, asked.since_query_state)
    if not since.is_whole:
        raise MethodError("cannotCalculateChanges")
    found = matching(await _facts(context), asked.filter, asked.sort, context.real_id)
    touched = [row.id for row in await _changed(context, Modseq(since.first_modseq - 1))]
    changed = frozenset(touched)
    added = [(index, each) for index, each in enumerate(found) if each in changed]
    if asked.max_changes is not None and len(touched) + len(added) > asked.max_changes:
        raise MethodError("tooManyChanges")
    answer: JsonObject = {
        "accountId": context.account_id,
        "oldQueryState": asked.since_query_state,
        "newQueryState": state_of(view, TYPE_NAME),
        "removed": [submission_id(SubmissionId(each)) for each in touched],
        "added": [{"id": submission_id(SubmissionId(each)), "index": index} for index, each in added],
    }
    return {**answer, "total": len(found)} if asked.is_total_wanted else answer


async def set_(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_set()
    update_email = taken.map_of_objects_or_null("onSuccessUpdateEmail") or {}
    destroy_email = taken.ids_or_null("onSuccessDestroyEmail") or []
    taken.end()
    before = await context.parts.account_views.of(context.who)
    asked.demand_state(state_of(before, TYPE_NAME))
    results = SetResults()
    emails: dict[str, str] = {}
    """Of what succeeded, by the ids that the two arguments may use."""
    for creation_id, given in asked.create.items():
        try:
            submitted = await _create(context, before, given)
        except SetError as error:
            results.not_created[creation_id] = error
            continue
        context.has_changed = True
        real = submission_id(submitted.id)
        context.created_ids[creation_id] = real
        emails[f"#{creation_id}"] = emails[real] = context.real_id(given["emailId"])
        results.created[creation_id] = await _told_of_created(context, submitted, given)
    named = [*asked.update, *asked.destroy]
    numbers = {each: parse_submission_id(context.real_id(each)) for each in named}
    there = await submissions(context, [number for number in numbers.values() if number is not None])
    destroy = {each for each in asked.destroy if numbers[each] in there}
    for each, patch in asked.update.items():
        real = context.real_id(each)
        try:
            found = there.get(numbers[each] or SubmissionId(0))
            if found is None:
                raise SetError("notFound")
            if each in destroy:
                raise SetError("willDestroy")
            await _update(context, found, patch)
            results.updated[real] = None
            emails[each] = emails[real] = _email_of(found)
        except SetError as error:
            results.not_updated[real] = error
    await _destroy(context, asked.destroy, numbers, there, results, emails)
    _imply(context, emails, update_email, destroy_email)
    states = await states_around_rows(context, before, TYPE_NAME, partial(_changed, context), _id, results)
    return results.response(context, *states)


def _email_of(found: Submission) -> str:
    return email_id(MessageId(found.message_id))


# -- create


async def _create(context: Context, view: AccountView, given: JsonObject) -> Submitted:
    """Raises SetError."""
    unknown = sorted(set(given) - _CREATED_WITH)
    if unknown:
        raise SetError("invalidProperties", "these are not set by clients", tuple(unknown))
    wrong = [name for name in ("identityId", "emailId") if not isinstance(given.get(name), str)]
    if wrong:
        raise SetError("invalidProperties", "they must be ids", tuple(wrong))
    parts, who = context.parts, context.who
    identity_number = parse_identity_id(context.real_id(given["identityId"]))
    mine = {each.id: each for each in await identities(parts.store, parts.recipients, who)}
    if identity_number not in mine:
        raise SetError("invalidProperties", "there is no such identity", ("identityId",))
    message = parse_email_id(context.real_id(given["emailId"]))
    if message is not None and not view.is_shown(message):
        view = await parts.account_views.of(who)  # it may have been made in this very request
    thread = None if message is None or not view.is_shown(message) else view.thread_of(message)
    if message is None or thread is None:
        raise _email_not_found()
    now = datetime.now(UTC)
    write: WriteEnvelope = write_envelope
    try:
        envelope = None
        if given.get("envelope") is not None:
            envelope = read_envelope(given["envelope"], now, parts.submissions.limits.message_octets)
            kept = kept_envelope(given["envelope"])
            write = lambda _envelope: kept  # noqa: E731 - as the client gave it
        return await parts.submissions.submit(who, mine[identity_number], message, thread, envelope, write)
    except MessageGone:
        raise _email_not_found() from None
    except (StoreUnavailable, ColdTierUnavailable, KeyUnusable):
        raise SetError("serverUnavailable", "try again later") from None  # what was sent before it stays sent
    except get_args(_Refused) as error:
        raise _refusal(context, error) from None


def _email_not_found() -> SetError:
    return SetError("invalidProperties", "there is no such Email", ("emailId",))


def _refusal(context: Context, error: _Refused) -> SetError:
    """The one table from what a service refuses to what RFC 8621 §7.5 calls it."""
    match error:
        case SenderNotOwned(where="MAIL FROM"):
            return SetError("forbiddenMailFrom", str(error))
        case SenderNotOwned() | NotOfIdentity():
            return SetError("forbiddenFrom", str(error))
        case OriginatorInvalid():
            return SetError("invalidEmail", error.reason, ("from",))
        case MessageUnfit():
            return SetError("invalidEmail", str(error), error.properties)
        case MessageTooBig():
            return SetError("tooLarge", str(error), more={"maxSize": error.limit_octets})
        case NobodyToSendTo():
            return SetError("noRecipients")
        case RecipientsRefused():
            return SetError("invalidRecipients", str(error), more={"invalidRecipients": list(error.reasons)})
        case TooManyRecipients():
            return SetError("tooManyRecipients", str(error), more={"maxRecipients": error.limit})
        case TooManyWait():
            return SetError("overQuota", str(error))
        case SendingLimitReached():
            return SetError("forbiddenToSend", _words(context, _LIMIT_WORDS))
        case MayNotSend():
            return SetError("forbiddenToSend", _words(context, _NO_ADDRESS_WORDS))
        case _:
            assert_never(error)


def _words(context: Context, words: Mapping[str, str]) -> str:
    return words["zh" if context.who.language.lower().startswith("zh") else "en"]


async def _told_of_created(context: Context, submitted: Submitted, given: JsonObject) -> JsonObject:
    """What the server has set."""
    known: JsonObject = {"id": submission_id(submitted.id)}
    try:
        found = await submissions(context, [submitted.id])
        if submitted.id not in found:  # its record was not kept
            return known
        (shown,) = await submission_objects(context, list(found.values()), with_status=True)
    except StorageError:  # it is sent: whoever heard otherwise would send it again
        return known
    return {name: value for name, value in shown.items() if given.get(name) is None or name == "id"}


# -- update, destroy


async def _update(context: Context, found: Submission, patch: JsonObject) -> None:
    """Nothing but undoStatus can be changed; the rest may be given as it is. Raises SetError."""
    read = parse_patch(patch)
    if read.members:
        raise SetError("invalidPatch", "its properties are given whole")
    (shown,) = await submission_objects(context, [found], with_status="deliveryStatus" in read.whole)
    wanted = read.whole.get("undoStatus", shown["undoStatus"])
    wrong = [name for name, value in read.whole.items() if name != "undoStatus" and shown.get(name, ()) != value]
    if wrong:
        raise SetError("invalidProperties", "they cannot be changed", tuple(sorted(wrong)))
    if wanted == shown["undoStatus"]:
        return
    if wanted != "canceled":
        raise SetError("invalidProperties", "it can only be canceled", ("undoStatus",))
    if found.undo_status != UndoStatus.PENDING or not await context.parts.submissions.cancel(
        context.who, SubmissionId(found.id)
    ):
        raise SetError("cannotUnsend", "it is on its way")


async def _destroy(
    context: Context,
    asked: Sequence[str],
    numbers: Mapping[str, SubmissionId | None],
    there: Mapping[SubmissionId, Submission],
    results: SetResults,
    emails: dict[str, str],
) -> None:
    chosen = {each: number for each in asked if (number := numbers[each]) is not None and number in there}
    gone = await context.parts.submissions.destroy(context.who, list(chosen.values())) if chosen else set()
    for each in asked:
        real, number = context.real_id(each), chosen.get(each)
        if number is None or number not in gone:
            results.not_destroyed[real] = SetError("notFound")
        else:
            results.destroyed.append(real)
            emails[each] = emails[real] = _email_of(there[number])


# -- what follows


def _imply(
    context: Context,
    emails: Mapping[str, str],
    update_email: Mapping[str, JsonObject],
    destroy_email: Collection[str],
) -> None:
    """One Email/set for all that succeeded (§7.5)."""
    update: dict[str, JsonObject] = {}
    for each, patch in update_email.items():
        if each in emails:
            update.setdefault(emails[each], {}).update(patch)
    destroy = list(dict.fromkeys(emails[each] for each in destroy_email if each in emails))
    if update or destroy:
        arguments: JsonObject = {"accountId": context.account_id}
        if update:
            arguments["update"] = update
        if destroy:
            arguments["destroy"] = destroy
        context.implied.append(("Email/set", arguments))


async def _facts(context: Context) -> list[SubmissionFacts]:
    who = context.who
    async with context.parts.store.database.read(who.tenant_id) as connection:
        return await stored.facts(connection, who.tenant_id, who.account_id)


async def _changed(context: Context, since: Modseq) -> list[ChangedRow]:
    who = context.who
    async with context.parts.store.database.read(who.tenant_id) as connection:
        return await stored.changed(connection, who.tenant_id, who.account_id, since)


METHODS = (
    Method("EmailSubmission/get", SUBMISSION, get),
    Method("EmailSubmission/changes", SUBMISSION, changes),
    Method("EmailSubmission/query", SUBMISSION, query),
    Method("EmailSubmission/queryChanges", SUBMISSION, query_changes),
    Method("EmailSubmission/set", SUBMISSION, set_),
)
