"""The part of a notification that programs read: message/delivery-status (RFC 3464 §2, 4865 §5.1, 6533 §4.1)."""

import re

from mailserver.dsn.addresses import UTF8, field_value, typed_address
from mailserver.dsn.facts import Action, DsnFacts, RecipientReport
from mailserver.dsn.original import BodyPart
from mailserver.mime.dates import format_date

_STATUS = re.compile(r"[245]\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2})", re.ASCII)
_HOST = re.compile(r"[!-~]{1,255}")
_LINE_CHARACTERS = 76
_ANSWER_CHARACTERS = 4_000


def status_part(facts: DsnFacts) -> BodyPart:
    """Global only where the way back takes UTF-8: elsewhere `\\x{…}` says the same in ASCII (RFC 6533 §3)."""
    is_global = facts.is_utf8_welcome and any(_needs_utf8(each) for each in facts.recipients)
    blocks = [_of_message(facts), *(_of_recipient(each, is_global=is_global) for each in facts.recipients)]
    octets = "\r\n".join("".join(f"{line}\r\n" for line in block) for block in blocks).encode()
    if is_global:
        return BodyPart("message/global-delivery-status", "7bit" if octets.isascii() else "8bit", octets)
    return BodyPart("message/delivery-status", "7bit", octets)


def _of_message(facts: DsnFacts) -> list[str]:
    lines = []
    if facts.envelope_id:
        lines.append(_field("Original-Envelope-Id", _one_line(facts.envelope_id), is_folded=False))
    lines.append(f"Reporting-MTA: dns; {facts.hostname}")
    if facts.queue_id:
        lines.append(f"X-Waypost-Queue-Id: {facts.queue_id}")
    if facts.received_from and _HOST.fullmatch(facts.received_from):
        lines.append(f"Received-From-MTA: dns; {facts.received_from}")
    if facts.arrived_at:
        lines.append(f"Arrival-Date: {format_date(facts.arrived_at)}")
    if facts.future_release:
        lines.append(f"Future-Release-Request: {_one_line(facts.future_release)[:40]}")
    return lines


def _of_recipient(recipient: RecipientReport, *, is_global: bool) -> list[str]:
    lines = []
    if recipient.original:
        original = field_value(recipient.original, is_global=is_global)
        lines.append(_field("Original-Recipient", _one_line(original, is_global=is_global), is_folded=False))
    final = field_value(typed_address(recipient.address), is_global=is_global)
    lines.append(_field("Final-Recipient", _one_line(final, is_global=is_global), is_folded=False))
    lines.append(f"Action: {recipient.action}")
    lines.append(f"Status: {_status(recipient)}")
    if recipient.remote_host and _HOST.fullmatch(recipient.remote_host):
        lines.append(f"Remote-MTA: dns; {recipient.remote_host}")
    if recipient.answer and recipient.action in (Action.FAILED, Action.DELAYED):
        kind = "smtp" if recipient.answer[:3].isdigit() else "x-waypost"
        lines.append(_field("Diagnostic-Code", f"{kind}; {_one_line(recipient.answer, is_global=is_global)}"))
    if recipient.last_attempt_at:
        lines.append(f"Last-Attempt-Date: {format_date(recipient.last_attempt_at)}")
    if recipient.retry_until and recipient.action is Action.DELAYED:
        lines.append(f"Will-Retry-Until: {format_date(recipient.retry_until)}")
    return lines


def _status(recipient: RecipientReport) -> str:
    if _STATUS.fullmatch(recipient.status):
        return recipient.status
    return {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}.get(recipient.action, "2.0.0")


def _needs_utf8(recipient: RecipientReport) -> bool:
    if not recipient.address.isascii():
        return True
    kind, _, address = (recipient.original or "").partition(";")
    return kind.lower() == UTF8 and not address.isascii()


def _one_line(text: str, *, is_global: bool = False) -> str:
    """White space as single spaces, controls gone, ASCII unless the part is global."""
    line = " ".join(text[:_ANSWER_CHARACTERS].split())
    return "".join(c if " " <= c <= "~" or (is_global and c.isprintable()) else "?" for c in line)


def _field(name: str, value: str, *, is_folded: bool = True) -> str:
    """Folded at spaces, and where there are none before a line gets too long for SMTP (RFC 5322 §2.1.1)."""
    line = f"{name}: {value}"
    if not is_folded or len(line) <= _LINE_CHARACTERS:
        return line[:900]
    lines = [""]
    for word in line.split(" "):
        longest = 900 if word.isascii() else 240  # a character beyond ASCII is up to four octets
        for piece in (word[at : at + longest] for at in range(0, max(1, len(word)), longest)):
            if lines[-1] and len(lines[-1]) + 1 + len(piece) > _LINE_CHARACTERS:
                lines.append("")
            lines[-1] = f"{lines[-1]} {piece}" if lines[-1] else piece
    return "\r\n\t".join(lines)
