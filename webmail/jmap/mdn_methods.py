"""MDN/send and MDN/parse (RFC 9007)."""

import re
from collections.abc import Mapping

from mailserver.dsn.disposition import ACTION_MODES, SENDING_MODES, TYPES, Disposition, Notification, parse_notification
from mailserver.services.dispositions import SENT, AlreadySent, DispositionSent, DispositionWish, NobodyAgreed
from mailserver.services.errors import ForwardingLoop, SenderNotOwned
from mailserver.services.identities import identities
from mailserver.services.submission_errors import MessageTooBig, NobodyToSendTo
from storage.errors import (
    ColdTierUnavailable,
    KeyUnusable,
    MessageGone,
    SendingLimitReached,
    StoreUnavailable,
    TooManyKeywords,
)
from storage.identities import Identity
from storage.types import MessageId
from storage.uploads import UploadGone
from webmail.jmap.arguments import Arguments, as_creations
from webmail.jmap.blobs import open_blob
from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError, SetError
from webmail.jmap.ids import parse_email_id, parse_identity_id
from webmail.jmap.limits import MAIL, MDN
from webmail.jmap.method import Context, Method

MOST_PARSED_OCTETS = 10_485_760
_SENT_WITH = {
    "forEmailId",
    "subject",
    "textBody",
    "includeOriginalMessage",
    "reportingUA",
    "disposition",
    "finalRecipient",
    "extensionFields",
    "extension",  # which the example of RFC 9007 §3.1 calls them
}
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}", re.ASCII)
_OURS = frozenset(
    {
        "reporting-ua",
        "mdn-gateway",
        "original-recipient",
        "final-recipient",
        "original-message-id",
        "disposition",
        "error",
    }
)
_LONGEST = {"subject": 1_000, "textBody": 100_000, "reportingUA": 500, "finalRecipient": 500}
_MOST_EXTENSIONS = 50


async def send(context: Context, arguments: JsonObject) -> JsonObject:
    """RFC 9007 §2.1. It sets a keyword of an Email, so their capability must be named, too."""
    if MAIL not in context.using:
        raise MethodError("unknownMethod", f"using must name {MAIL}")
    taken = Arguments(context, arguments)
    _take_account(taken)
    identity_id = context.real_id(taken.id("identityId"))
    wishes = as_creations("send", taken.object("send"))
    update_email = taken.map_of_objects_or_null("onSuccessUpdateEmail") or {}
    taken.end()
    taken.demand_few(len(wishes))
    identity = await _identity(context, identity_id)
    sent: dict[str, JsonObject] = {}
    not_sent: dict[str, JsonObject] = {}
    update: dict[str, JsonObject] = {}
    for creation_id, given in wishes.items():
        patch = update_email.get(f"#{creation_id}", {})
        try:
            wish = _read_wish(context, given)
            if not _sets_keyword(patch):
                raise SetError("invalidProperties", f"onSuccessUpdateEmail must set {SENT} (RFC 9007 §2.1)")
            told = await _send(context, identity, wish)
        except SetError as error:
            not_sent[creation_id] = error.arguments()
            continue
        sent[creation_id] = _told(told, given)
        update.setdefault(context.real_id(given["forEmailId"]), {}).update(patch)
    if update:
        context.implied.append(("Email/set", {"accountId": context.account_id, "update": update}))
    return {"accountId": context.account_id, "sent": sent or None, "notSent": not_sent or None}


async def parse(context: Context, arguments: JsonObject) -> JsonObject:
    """RFC 9007 §2.2."""
    taken = Arguments(context, arguments)
    _take_account(taken)
    blob_ids = list(dict.fromkeys(context.real_id(each) for each in taken.ids("blobIds")))
    taken.end()
    if len(blob_ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge", f"at most {context.limits.max_objects_in_get} blobs")
    parsed: dict[str, JsonObject] = {}
    not_parsable: list[str] = []
    not_found: list[str] = []
    for blob_id in blob_ids:
        try:
            blob = await open_blob(context.parts.store, context.who, blob_id)
            octets = None if blob is None or blob.octets > MOST_PARSED_OCTETS else await blob.whole()
        except UploadGone:
            blob = octets = None
        notification = None if octets is None else parse_notification(octets)
        if blob is None:
            not_found.append(blob_id)
        elif notification is None:
            not_parsable.append(blob_id)
        else:
            parsed[blob_id] = _shown(notification)
    return {
        "accountId": context.account_id,
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


def _take_account(taken: Arguments) -> None:
    """Raises InvalidArguments, as RFC 9007 has it for an account that is not found."""
    try:
        taken.account()
    except MethodError:
        raise InvalidArguments("accountId: there is no such account") from None


async def _identity(context: Context, identity_id: str) -> Identity:
    """Raises InvalidArguments, as RFC 9007 §2.1 has it for one that is not there."""
    number = parse_identity_id(identity_id)
    mine = {each.id: each for each in await identities(context.parts.store, context.parts.recipients, context.who)}
    if number not in mine:
        raise InvalidArguments("identityId: there is no such identity")
    return mine[number]


async def _send(context: Context, identity: Identity, wish: DispositionWish) -> DispositionSent:
    """Raises SetError."""
    view = await context.parts.account_views.of(context.who)
    if not view.is_shown(wish.message_id):
        raise SetError("notFound")
    if SENT in view.keywords_of(wish.message_id):
        raise SetError("mdnAlreadySent")
    try:
        return await context.parts.dispositions.send(context.who, identity, wish)
    except (MessageGone, NobodyToSendTo, ForwardingLoop):
        raise SetError("notFound", "there is no such Email, or nobody who asked for it and can be told") from None
    except AlreadySent:
        raise SetError("mdnAlreadySent") from None
    except NobodyAgreed:
        raise SetError("forbidden", "who asked is not who sent it: a person has to agree (RFC 8098 §2.1)") from None
    except SenderNotOwned:
        raise SetError("forbiddenFrom", "finalRecipient is none of your addresses") from None
    except MessageTooBig as error:
        raise SetError("tooLarge", more={"maxSize": error.limit_octets}) from None
    except SendingLimitReached:
        raise SetError("rateLimit") from None
    except (StoreUnavailable, ColdTierUnavailable, KeyUnusable):
        raise SetError("serverUnavailable", "try again later") from None  # what was sent before it stays sent
    except TooManyKeywords:
        raise SetError("forbidden", "the Email has no room for one more keyword") from None


def _read_wish(context: Context, given: JsonObject) -> DispositionWish:
    """Raises SetError."""
    wrong = sorted(set(given) - _SENT_WITH)
    for name, most in _LONGEST.items():
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > most or "\0" in value):
            wrong.append(name)
    returns_original = given.get("includeOriginalMessage", False)
    if not isinstance(returns_original, bool):
        wrong.append("includeOriginalMessage")
    if not isinstance(given.get("forEmailId"), str):
        wrong.append("forEmailId")
    disposition = _read_disposition(given.get("disposition"))
    if disposition is None:
        wrong.append("disposition")
    extensions = given.get("extensionFields") or given.get("extension") or {}
    if not _are_extensions(extensions) or {"extension", "extensionFields"} <= given.keys():
        wrong.append("extensionFields")
    if wrong or disposition is None:
        raise SetError("invalidProperties", "", tuple(sorted(wrong)))
    message: MessageId | None = parse_email_id(context.real_id(given["forEmailId"]))
    if message is None:
        raise SetError("notFound")
    return DispositionWish(
        message,
        disposition,
        given.get("subject"),
        given.get("textBody"),
        returns_original,
        given.get("reportingUA"),
        given.get("finalRecipient"),
        extensions,
    )


def _read_disposition(given: object) -> Disposition | None:
    if not isinstance(given, dict) or set(given) != {"actionMode", "sendingMode", "type"}:
        return None
    words = [given[name] for name in ("actionMode", "sendingMode", "type")]  # in lower case (RFC 9007 §2)
    if words[0] not in ACTION_MODES or words[1] not in SENDING_MODES or words[2] not in TYPES:
        return None
    return Disposition(*words)


def _are_extensions(given: object) -> bool:
    if not isinstance(given, dict) or len(given) > _MOST_EXTENSIONS:
        return False
    return all(
        _FIELD_NAME.fullmatch(name) is not None
        and name.lower() not in _OURS
        and isinstance(value, str)
        and len(value) <= 900
        and value.isprintable()
        for name, value in given.items()
    )


def _sets_keyword(patch: Mapping[str, object]) -> bool:
    keywords = patch.get("keywords")
    return patch.get(f"keywords/{SENT}") is True or (isinstance(keywords, dict) and keywords.get(SENT) is True)


def _told(told: DispositionSent, given: JsonObject) -> JsonObject:
    """What the server has set or filled in, or written otherwise."""
    filled: JsonObject = {
        "subject": told.subject,
        "textBody": told.text,
        "includeOriginalMessage": False,
        "reportingUA": None,
        "finalRecipient": told.final_recipient,
        "mdnGateway": None,
        "originalRecipient": told.original_recipient,
        "originalMessageId": told.original_message_id,
        "error": None,
        "extensionFields": given.get("extension"),
    }
    return {
        name: value
        for name, value in filled.items()
        if given.get(name) is None or (name == "finalRecipient" and given[name] != value)
    }


def _shown(notification: Notification) -> JsonObject:
    disposition = notification.disposition
    return {
        "forEmailId": None,
        "subject": notification.subject,
        "textBody": notification.text,
        "includeOriginalMessage": notification.has_original,
        "reportingUA": notification.reporting_ua,
        "disposition": {
            "actionMode": disposition.action_mode,
            "sendingMode": disposition.sending_mode,
            "type": disposition.type,
        },
        "mdnGateway": notification.gateway,
        "originalRecipient": notification.original_recipient,
        "finalRecipient": notification.final_recipient,
        "originalMessageId": notification.original_message_id,
        "error": list(notification.errors) or None,
        "extensionFields": dict(notification.extension_fields) or None,
    }


METHODS = (Method("MDN/send", MDN, send), Method("MDN/parse", MDN, parse))
