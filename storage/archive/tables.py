"""Which rows of a tenant an archive has, in the order in which they can be put back (pure).

What is not mail or who has it stays out: what is made anew by itself, what is about the moment only, and the queue,
since most of what stood there was sent long ago when an archive is restored.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """`tenant_column` says whose a row is. `first` orders rows that point at others of the table behind those."""

    name: str
    key: str
    tenant_column: str = "tenant_id"
    first: str | None = None


TABLES = (
    Table("tenant", "id", tenant_column="id"),
    Table("account", "id"),
    Table("mail_group", "id"),
    Table("domain", "id", first="stands_for_id IS NOT NULL"),
    Table("address", "id"),
    Table("app_password", "id"),
    Table("totp", "id"),
    Table("recovery_code", "id"),
    Table("passkey", "id"),
    Table("forwarding", "id"),
    Table("group_member", "id"),
    Table("retention_rule", "id"),
    Table("data_key", "id"),
    Table("smarthost", "tenant_id"),
    Table("outgoing_hold", "id"),
    Table("account_state", "account_id"),
    Table("mailbox", "id"),
    Table("message", "account_id, id"),
    Table("message_blob", "message_id, ordinal"),
    Table("placement", "mailbox_id, uid"),
    Table("recoverable", "account_id, message_id"),
    Table("thread_reference", "account_id, reference"),
    Table("quota_notice", "account_id, percent"),
    Table("identity", "id"),
    Table("vacation", "account_id"),
)

LEFT_OUT: Mapping[str, str] = {
    "blob": "content is archived by itself",
    "blob_content": "content is archived by itself",
    "object": "content is archived wherever it rests, and restored to Postgres",
    "web_session": "of the moment",
    "oauth_grant": "programs ask for leave again where it is restored",
    "bearer_token": "as oauth_grant",
    "cold_read": "of the moment",
    "work_lease": "of the moment",
    "reseal_order": "of the moment",
    "change": "a restored account begins a new epoch, whose log is empty",
    "search_page": "made anew",
    "message_text": "made anew",
    "text_state": "made anew",
    "text_vocabulary": "made anew",
    "inbound_placed": "about mail that has arrived",
    "outgoing": "the queue",
    "outgoing_content": "the queue",
    "outgoing_recipient": "the queue",
    "sending_count": "of the moment",
    "email_submission": "what was sent, or stands in the queue",
    "held_submission": "the queue",
    "vacation_answer": "of the moment",
    "event": "what happened, not what is",
    "tier_usage": "what happened, not what is",
    "upload": "of the moment",
    "upload_content": "of the moment",
    "push_subscription": "of the moment: tied to how somebody signed in",
    "type_state": "a restored account begins a new epoch, whose states are new",
}
