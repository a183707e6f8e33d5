"""Envelopes as JMAP writes them (RFC 8621 §7), with the parameters of RFC 1870, 3461, 4865, 6152 and 6531."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from mailserver.dsn.facts import future_release_request
from mailserver.services.submission_envelopes import (
    EnvelopeRecipient,
    SubmissionEnvelope,
    envelope_recipients,
    reverse_path_of,
)
from mailserver.services.submission_errors import MessageTooBig
from mailserver.services.submissions import MOST_DELAY
from storage.outgoing_types import Notify, ReturnContent
from tenants.errors import AddressInvalid
from webmail.jmap.errors import JsonObject, SetError

_NOTIFY = {"SUCCESS": Notify.SUCCESS, "FAILURE": Notify.FAILURE, "DELAY": Notify.DELAY}
_RETURN = {"FULL": ReturnContent.FULL, "HDRS": ReturnContent.HEADERS}
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_OCTETS = re.compile(r"[0-9]{1,20}", re.ASCII)
_ENVELOPE_ID = re.compile(r"[!-~]{1,100}", re.ASCII)
_ORIGINAL = re.compile(r"[A-Za-z0-9-]{1,40};\S.{0,498}")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_ENVELOPE = ("envelope",)

Parameters = Mapping[str, str | None]


def read_envelope(given: object, now: datetime, most_octets: int) -> SubmissionEnvelope:
    """Raises SetError, and NobodyToSendTo, RecipientsRefused, MessageTooBig."""
    if not isinstance(given, dict) or not set(given) <= {"mailFrom", "rcptTo"}:
        raise _invalid("it has mailFrom and rcptTo")
    recipients = given.get("rcptTo")
    if not isinstance(recipients, list):
        raise _invalid("rcptTo is a list of addresses")
    email, parameters = _address(given.get("mailFrom"), "mailFrom")
    try:
        reverse_path = reverse_path_of(email)
    except AddressInvalid as error:
        raise SetError("forbiddenMailFrom", f"mailFrom: {error.reason}") from None
    envelope_id, returned, release_at, future_release = _of_sender(parameters, now, most_octets)
    return SubmissionEnvelope(
        reverse_path,
        envelope_recipients([_recipient(each) for each in recipients]),
        envelope_id,
        returned,
        release_at,
        future_release,
    )


def write_envelope(envelope: SubmissionEnvelope) -> str:
    """Of one that was made from the fields of a message."""
    return json.dumps(
        {
            "mailFrom": {"email": envelope.reverse_path, "parameters": None},
            "rcptTo": [{"email": each.given, "parameters": None} for each in envelope.recipients],
        },
        ensure_ascii=False,
    )


def kept_envelope(given: JsonObject) -> str:
    """As the client gave it, with all its properties."""

    def address(each: JsonObject) -> JsonObject:
        return {"email": each["email"], "parameters": each.get("parameters")}

    return json.dumps(
        {"mailFrom": address(given["mailFrom"]), "rcptTo": [address(each) for each in given["rcptTo"]]},
        ensure_ascii=False,
    )


def _of_sender(
    parameters: Parameters, now: datetime, most_octets: int
) -> tuple[str | None, ReturnContent | None, datetime | None, str | None]:
    envelope_id: str | None = None
    returned: ReturnContent | None = None
    release_at: datetime | None = None
    future_release: str | None = None
    for name, value in parameters.items():
        match name:
            case "SIZE":
                if int(_matching(name, value, _OCTETS.fullmatch)) > most_octets:
                    raise MessageTooBig(most_octets)
            case "BODY":
                if (value or "").upper() not in ("7BIT", "8BITMIME"):
                    raise _invalid("BODY is 7BIT or 8BITMIME")
            case "SMTPUTF8":
                if value is not None:
                    raise _invalid("SMTPUTF8 has no value")
            case "RET":
                if (returned := _RETURN.get((value or "").upper())) is None:
                    raise _invalid("RET is FULL or HDRS")
            case "ENVID":
                envelope_id = _matching(name, value, _ENVELOPE_ID.fullmatch)
            case "HOLDFOR" | "HOLDUNTIL" if release_at is None:
                release_at = _release_at(name, value, now)
                if release_at > now:
                    future_release = future_release_request(name, _as_at_the_door(name, value or "", release_at))
            case _:
                raise _invalid(f"the parameter {name[:40]} is not known here")
    return envelope_id, returned, release_at, future_release


def _release_at(name: str, value: str | None, now: datetime) -> datetime:
    if name == "HOLDFOR":
        release_at = now + timedelta(seconds=int(_matching(name, value, _SECONDS.fullmatch)))
    else:
        try:
            release_at = datetime.fromisoformat(_matching(name, value, _DATE_TIME.fullmatch)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise _invalid("HOLDUNTIL is a moment, 2026-12-24T18:00:00Z") from None
    if release_at > now + MOST_DELAY:
        raise _invalid(f"at most {int(MOST_DELAY.total_seconds())} seconds from now")
    return release_at


def _as_at_the_door(name: str, value: str, release_at: datetime) -> str:
    """As RFC 4865 §3 writes it: JMAP takes other time zones and leading zeros too."""
    return str(int(value)) if name == "HOLDFOR" else f"{release_at:%Y-%m-%dT%H:%M:%SZ}"


def _recipient(given: object) -> EnvelopeRecipient:
    email, parameters = _address(given, "rcptTo")
    notify: Notify | None = None
    original: str | None = None
    for name, value in parameters.items():
        match name:
            case "NOTIFY":
                notify = _notify(value)
            case "ORCPT":
                original = _original(value)
            case _:
                raise _invalid(f"the parameter {name[:40]} is not known here")
    return EnvelopeRecipient(email, "", notify, original)


def _notify(value: str | None) -> Notify:
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    if not all(word in _NOTIFY for word in words):
        raise _invalid("NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY")
    notify = Notify(0)
    for word in words:
        notify |= _NOTIFY[word]
    return notify


def _original(value: str | None) -> str:
    """Its encoding is undone already (RFC 8621 §7)."""
    text = _matching("ORCPT", value, _ORIGINAL.fullmatch)
    if not text.isprintable():
        raise _invalid("ORCPT: this is not its form")
    return text


def _address(given: object, where: str) -> tuple[str, Parameters]:
    if not isinstance(given, dict) or not set(given) <= {"email", "parameters"}:
        raise _invalid(f"{where}: an address has an email, and may have parameters")
    email, parameters = given.get("email"), given.get("parameters")
    if not isinstance(email, str):
        raise _invalid(f"{where}: the email must be a string")
    if parameters is None:
        return email, {}
    if not isinstance(parameters, dict) or not all(isinstance(each, str | None) for each in parameters.values()):
        raise _invalid(f"{where}: parameters are strings or null")
    named = {name.upper(): value for name, value in parameters.items()}
    if len(named) != len(parameters):
        raise _invalid(f"{where}: a parameter is given twice")
    return email, named


def _matching(name: str, value: str | None, match: Callable[[str], re.Match[str] | None]) -> str:
    if value is None or match(value) is None:
        raise _invalid(f"{name}: this is not its form")
    return value


def _invalid(why: str) -> SetError:
    return SetError("invalidProperties", f"envelope: {why}", _ENVELOPE)
