"""Header text for people: encoded words (RFC 2047), extended parameters (RFC 2231), dates (RFC 5322 §3.3)."""

import binascii
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_to_bytes

from mailserver.mime.charset import codec_named, decode_octets, decode_text, storable

# Spaces inside the encoded text are an error that senders make and readers forgive.
_WORD = re.compile(r"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*)\?=")
_BASE64_JUNK = re.compile(rb"[^A-Za-z0-9+/]+")
_CONTROLS = re.compile(r"[\x00-\x20\x7f]+")


def decode_header(value: bytes) -> str:
    """An unstructured field's value as text, folded or not. Never raises."""
    text = value.decode("ascii") if value.isascii() else decode_octets(value, None)
    return display(text)


def display(text: str) -> str:
    """A field's value as people read it: encoded words decoded, controls and folds as single spaces."""
    if "=?" in text:
        text = decode_words(text)
    if not text.isprintable():
        text = storable(_CONTROLS.sub(" ", text))
    return text.strip()


def decode_words(text: str) -> str:
    """Replace encoded words; white space between two of them is dropped, broken ones are left as they are.

    Neighbours in one charset are decoded together, because senders split characters between them.
    """
    out: list[str] = []
    pending: list[bytes] = []
    pending_charset = ""
    position = 0
    for match in _WORD.finditer(text):
        charset, encoding, payload = match.groups()
        octets = _word_octets(encoding, payload) if codec_named(charset) else None
        if octets is None:
            continue
        between = text[position : match.start()]
        charset = charset.lower()
        if pending and (charset != pending_charset or (between and not between.isspace())):
            out.append(decode_text(b"".join(pending), pending_charset))
            pending = []
            if between and not between.isspace():
                out.append(between)
        elif not pending:
            out.append(between)
        pending.append(octets)
        pending_charset = charset
        position = match.end()
    if pending:
        out.append(decode_text(b"".join(pending), pending_charset))
    out.append(text[position:])
    return "".join(out)


def _word_octets(encoding: str, payload: str) -> bytes | None:
    if not payload.isascii():
        return None
    octets = payload.encode("ascii")
    if encoding in "qQ":
        return binascii.a2b_qp(octets, header=True)
    return decode_base64(octets)


def decode_base64(octets: bytes) -> bytes:
    """Decode whatever can be decoded: foreign characters are skipped, missing padding is supplied. Never raises."""
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        octets = _BASE64_JUNK.sub(b"", octets)
        rest = len(octets) % 4
        return binascii.a2b_base64(octets[:-1] if rest == 1 else octets + b"=" * (-rest % 4))


def extended_value(value: str) -> str:
    """Decode `charset'language'percent-encoded` (RFC 2231 §4)."""
    charset, _, rest = value.partition("'")
    _, quote, encoded = rest.partition("'")
    if not quote:
        charset, encoded = "", value
    return display(decode_text(unquote_to_bytes(encoded), charset or None))


_DATE = re.compile(
    r"(\d{1,2})[\s-]+([a-z]{3})[a-z]*\.?[\s-]+(\d{2,4})[\s,]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:\.\d+)?\s*([+-]\d{4}|[a-z]+)?",
    re.IGNORECASE | re.ASCII,
)
_ASCTIME = re.compile(
    r"([a-z]{3})\s+(\d{1,2})\s+(\d{1,2}):(\d{2})(?::(\d{2}))?\s+(?:[a-z]+\s+)?(\d{4})", re.IGNORECASE | re.ASCII
)
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_ZONES = {"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420}
_DATE_CHARACTERS = 200


def parse_date(value: str) -> datetime | None:
    """A Date field's moment in UTC, obsolete and slightly broken forms included, or None (RFC 5322 §3.3, §4.3)."""
    value = value[:_DATE_CHARACTERS]
    match = _DATE.search(value)
    if match is not None:
        day, month, year, hour, minute, second, zone = match.groups()
    else:
        match = _ASCTIME.search(value)
        if match is None:
            return _iso_date(value)
        month, day, hour, minute, second, year = match.groups()
        zone = None
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 50 else 1900
    elif len(year) == 3:
        number += 1900
    month_number = _MONTHS.get(month.lower())
    if month_number is None or number < 1900:
        return None
    if zone is None:
        minutes = 0
    elif zone[0] in "+-":
        minutes = int(zone[1:3]) * 60 + int(zone[3:])
        if zone[0] == "-":
            minutes = -minutes
    else:
        minutes = _ZONES.get(zone.lower(), 0)
    try:
        moment = datetime(number, month_number, int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=UTC)
        return moment - timedelta(minutes=minutes) if minutes else moment
    except (ValueError, OverflowError):
        return None


def _iso_date(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= 1900 else None
