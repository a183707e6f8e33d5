"""What people are told when an account or a pool gets full; pure."""

from dataclasses import dataclass
from datetime import datetime

from mailserver.dsn.original import encoded_text
from mailserver.mime.dates import format_date
from mailserver.mime.wire import encoded_words
from tenants.quota import format_octets


@dataclass(frozen=True, slots=True)
class QuotaNotice:
    """`percent` is the mark that was reached. `is_pool`: the reader is an administrator, told of the whole company."""

    to: str
    language: str
    percent: int
    used_octets: int
    limit_octets: int
    is_pool: bool
    hostname: str
    token: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class _Words:
    sender: str
    subject: str
    pool_subject: str
    body: str
    pool_body: str


_ENGLISH = _Words(
    sender="Mail System",
    subject="Your mailbox is {percent} % full",
    pool_subject="The mail storage of your company is {percent} % full",
    body=(
        "Your mailbox holds {used} of {limit}: {percent} % or more.\n\n"
        "When it is full you get no more mail: it goes back to its senders, unless there is room within days.\n\n"
        "To make room, delete what you no longer need, large messages first, and empty the Trash.\n"
        "If you need more room, ask your administrator.\n"
    ),
    pool_body=(
        "The mailboxes of your company hold {used} of {limit} together: {percent} % or more.\n\n"
        "When that is full nobody of your company gets mail any more, and nobody can store sent mail and drafts.\n\n"
        "To make room, have large mailboxes cleared, or set rules for how long mail is kept.\n"
        "If you need more room, ask whoever runs this mail system.\n"
    ),
)
_CHINESE = _Words(
    sender="邮件系统",
    subject="您的邮箱已使用 {percent}%",
    pool_subject="贵公司的邮件空间已使用 {percent}%",
    body=(
        "您的邮箱已使用 {used}，上限 {limit}，达到 {percent}% 或更多。\n\n"
        "空间用满后将无法收到新邮件：若数日内仍无空间，来信会退回给发件人。\n\n"
        "请删除不再需要的邮件（先删大的），并清空废纸篓。\n"
        "如需更大空间，请联系管理员。\n"
    ),
    pool_body=(
        "贵公司所有邮箱共使用 {used}，上限 {limit}，达到 {percent}% 或更多。\n\n"
        "空间用满后，贵公司所有人都将无法收到新邮件，也无法保存已发送邮件和草稿。\n\n"
        "请清理占用较大的邮箱，或设置邮件保留规则。\n"
        "如需更大空间，请联系邮件系统的运营方。\n"
    ),
)


def compose_notice(notice: QuotaNotice) -> bytes:
    """A message that no program answers (RFC 3834 §5)."""
    words = _CHINESE if notice.language.partition("-")[0] == "zh" else _ENGLISH
    facts = {
        "percent": notice.percent,
        "used": format_octets(notice.used_octets),
        "limit": format_octets(notice.limit_octets),
    }
    subject = (words.pool_subject if notice.is_pool else words.subject).format(**facts)
    text = (words.pool_body if notice.is_pool else words.body).format(**facts)
    part = encoded_text(text.replace("\n", "\r\n"))
    header = (
        "Return-Path: <>",
        f"Date: {format_date(notice.written_at)}",
        f"From: {_phrase(words.sender)} <postmaster@{notice.hostname}>",
        f"To: <{notice.to}>",
        f"Subject: {_phrase(subject)}",
        f"Message-ID: <{notice.token}@{notice.hostname}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f"Content-Type: {part.content_type}",
        f"Content-Transfer-Encoding: {part.encoding}",
    )
    return "".join(f"{line}\r\n" for line in header).encode() + b"\r\n" + part.octets


def _phrase(text: str) -> str:
    return text if text.isascii() else encoded_words(text).replace("?= =?", "?=\r\n\t=?")
