"""The mail tables, declared for migration only; nothing but `storage/` reads or writes them, and that by SQL.

Every key leads with tenant_id, ids come from the sequence `mail_id` that carries the cell in its high bits, and
there are no foreign keys to the hot rows (tenant, account, account_state, mailbox): they would lock them. What
Django cannot say (partitions, row-level security, storage parameters, functions) stands in the migrations as SQL.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class AccountState(models.Model):
    """One row per account. Its lock totally orders the account's changes, and every change takes one modseq here."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    epoch = models.IntegerField(db_default=1)
    modseq = models.BigIntegerField(db_default=1)
    oldest_modseq = models.BigIntegerField(db_default=1)
    next_uidvalidity = models.BigIntegerField(db_default=1)
    used_octets = models.BigIntegerField(db_default=0)
    used_messages = models.BigIntegerField(db_default=0)
    binned_octets = models.BigIntegerField(db_default=0)
    binned_messages = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "account_state"


class Mailbox(models.Model):
    """A mailbox, or (deleted_at set) the tombstone that keeps its subscription. `sort_order` is what a person chose."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    name = models.TextField()
    special_use = models.TextField(null=True)
    is_subscribed = models.BooleanField(db_default=True)
    is_selectable = models.BooleanField(db_default=True)
    deleted_at = models.DateTimeField(null=True)
    uidvalidity = models.BigIntegerField()
    uidnext = models.BigIntegerField(db_default=1)
    modseq = models.BigIntegerField(db_default=1)
    first_recent_uid = models.BigIntegerField(db_default=1)
    messages = models.IntegerField(db_default=0)
    unseen = models.IntegerField(db_default=0)
    octets = models.BigIntegerField(db_default=0)
    deleted = models.IntegerField(db_default=0)
    sort_order = models.IntegerField(null=True)

    class Meta:
        db_table = "mailbox"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "account_id", "name"],
                condition=models.Q(deleted_at__isnull=True),
                name="mailbox_name_is_unique",
            ),
            models.CheckConstraint(condition=models.Q(messages__gte=0, unseen__gte=0), name="mailbox_counts"),
            models.CheckConstraint(
                condition=models.Q(octets__gte=0, deleted__gte=0), name="mailbox_counts_of_octets_and_deleted"
            ),
        ]
        indexes = [models.Index(fields=["tenant_id", "account_id"], name="mailbox_of_account")]


class Message(models.Model):
    """The immutable facts of a message of one account; it is the JMAP Email."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "id")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    id = models.BigIntegerField()
    thread_id = models.BigIntegerField()
    created_modseq = models.BigIntegerField()
    octets = models.BigIntegerField()
    received_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    header_octets = models.IntegerField()
    wire_version = models.SmallIntegerField()
    differs_in_utf8 = models.BooleanField()
    has_attachment = models.BooleanField()
    subject = models.TextField()
    base_subject = models.TextField()
    sender = models.TextField()
    recipients = models.TextField()
    preview = models.TextField()
    header = models.BinaryField()
    segments = models.BinaryField()
    structure = models.BinaryField()
    envelope = models.BinaryField()
    bodystructure = models.BinaryField()
    origin_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "message"
        indexes = [
            models.Index(
                fields=["tenant_id", "account_id", "origin_id"],
                condition=models.Q(origin_id__isnull=False),
                name="message_by_origin",
            )
        ]


class Placement(models.Model):
    """A message in a mailbox. Narrow, with room on the page and no index on flags or modseq, so that STORE is HOT."""

    pk = models.CompositePrimaryKey("tenant_id", "mailbox_id", "uid")
    tenant_id = models.BigIntegerField()
    mailbox_id = models.BigIntegerField()
    uid = models.BigIntegerField()
    account_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    modseq = models.BigIntegerField()
    saved_at = models.DateTimeField()
    flags = models.SmallIntegerField(db_default=0)
    keywords = ArrayField(models.TextField(), null=True)

    class Meta:
        db_table = "placement"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "message_id", "mailbox_id"], name="placement_once_in_a_mailbox"
            ),
        ]


class Change(models.Model):
    """The append-only log of an account: what IMAP resynchronisation and JMAP changes are answered from.

    `thread_id` stands beside removals only: the message may be gone when somebody asks.
    """

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "modseq", "seq", "logged_on")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    modseq = models.BigIntegerField()
    seq = models.IntegerField()
    logged_on = models.DateField()
    kind = models.SmallIntegerField()
    mailbox_id = models.BigIntegerField()
    uid = models.BigIntegerField(null=True)
    message_id = models.BigIntegerField(null=True)
    flags_before = models.SmallIntegerField(null=True)
    flags_after = models.SmallIntegerField(null=True)
    keywords_before = ArrayField(models.TextField(), null=True)
    keywords_after = ArrayField(models.TextField(), null=True)
    thread_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "change"


class ThreadReference(models.Model):
    """Keyed hash of a message id seen in Message-ID, In-Reply-To or References, and the thread it belongs to."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "reference")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    reference = models.BigIntegerField()
    thread_id = models.BigIntegerField()

    class Meta:
        db_table = "thread_reference"


class DataKey(models.Model):
    """A key of a tenant, wrapped by the tenant key that rests outside Postgres. At `retired_at` nothing used it."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.IntegerField()
    purpose = models.TextField()
    wrapped = models.BinaryField()
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "data_key"
        constraints = [
            models.CheckConstraint(condition=models.Q(purpose__in=["data", "naming"]), name="data_key_purpose"),
        ]


class Blob(models.Model):
    """Content by keyed digest: how long it is, where it rests, and when it was last claimed.

    It rests in Postgres since `content_on`, or, where `object_id` is set, in that object from `object_offset` on, with
    chunks as its `layout` says. `read_on` is a day on which it was read, for tiers; not every one.
    `is_waiting`: a large part that came while S3 was away, and waits in Postgres for an object of its own.
    """

    pk = models.CompositePrimaryKey("tenant_id", "digest")
    tenant_id = models.BigIntegerField()
    digest = models.BinaryField()
    octets = models.BigIntegerField()
    content_on = models.DateField()
    touched_at = models.DateTimeField()
    object_id = models.BigIntegerField(null=True)
    object_offset = models.BigIntegerField(null=True)
    layout = models.BinaryField(null=True)
    stored_octets = models.BigIntegerField(db_default=0)
    read_on = models.DateField(null=True)
    is_waiting = models.BooleanField(db_default=False)

    class Meta:
        db_table = "blob"
        indexes = [
            models.Index(
                fields=["tenant_id", "content_on"],
                include=["stored_octets"],
                condition=models.Q(object_id__isnull=True),
                name="blob_hot",
            ),
            models.Index(
                fields=["tenant_id", "object_id"], condition=models.Q(object_id__isnull=False), name="blob_in_object"
            ),
            models.Index(
                fields=["tenant_id", "digest"],
                condition=models.Q(is_waiting=True, object_id__isnull=True),
                name="blob_waiting",
            ),
        ]


class Object(models.Model):
    """An immutable S3 object of one tenant: a pack of cold blobs (`kind` 1) or a large part (2).

    `state`: 0 its octets are being written, 1 blobs rest in it, 2 doomed: nothing rests in it any more, and it goes
    when no restore can want it. `live_*` count what still rests in it; `is_held`: S3 Object Lock keeps it (legal hold).
    A pack is half dead when what lives in it, with 50 octets of index for each blob, is less than half of it,
    and small below 2 MiB.
    """

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    kind = models.SmallIntegerField()
    state = models.SmallIntegerField(db_default=0)
    octets = models.BigIntegerField(db_default=0)
    sha256 = models.BinaryField(null=True)
    blobs = models.IntegerField(db_default=0)
    live_blobs = models.IntegerField(db_default=0)
    live_octets = models.BigIntegerField(db_default=0)
    is_held = models.BooleanField(db_default=False)
    created_at = models.DateTimeField()
    doomed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "object"
        indexes = [
            models.Index(fields=["tenant_id", "created_at"], condition=models.Q(state=0), name="object_being_written"),
            models.Index(fields=["tenant_id", "doomed_at"], condition=models.Q(state=2), name="object_doomed"),
            models.Index(
                fields=["tenant_id", "id"],
                condition=models.Q(
                    state=1, kind=1, live_octets__lt=models.F("octets") / 2 - models.F("live_blobs") * 50
                ),
                name="object_half_dead",
            ),
            models.Index(
                fields=["tenant_id", "created_at"],
                condition=models.Q(state=1, kind=1, octets__lt=2 * 1024 * 1024),
                name="object_small",
            ),
        ]


class OrphanObject(models.Model):
    """An object in the bucket that no row knows, and since when. It goes when that was so long enough."""

    name = models.TextField(primary_key=True)
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "orphan_object"


class ClockSeen(models.Model):
    """When upkeep last looked at the clock; until `wary_until` it believes no age, for the clock has leapt."""

    id = models.IntegerField(primary_key=True)
    seen_at = models.DateTimeField()
    wary_until = models.DateTimeField()

    class Meta:
        db_table = "clock_seen"


class IdleWeek(models.Model):
    """A week of `blob_content` in which nothing is in use, and since when."""

    week = models.TextField(primary_key=True)
    since = models.DateTimeField()

    class Meta:
        db_table = "idle_week"


class ColdRead(models.Model):
    """A day on which somebody read a blob that rests in an object: who is read again comes back to Postgres."""

    pk = models.CompositePrimaryKey("tenant_id", "digest", "read_on")
    tenant_id = models.BigIntegerField()
    digest = models.BinaryField()
    read_on = models.DateField()

    class Meta:
        db_table = "cold_read"


class WorkLease(models.Model):
    """Who does a work of upkeep for a tenant, until when; whoever comes with an older token has lost it."""

    pk = models.CompositePrimaryKey("tenant_id", "work")
    tenant_id = models.BigIntegerField()
    work = models.TextField()
    leased_until = models.DateTimeField()
    token = models.BigIntegerField()

    class Meta:
        db_table = "work_lease"


class BlobContent(models.Model):
    """Sealed octets of a hot blob in chunks, in time partitions that are dropped rather than vacuumed."""

    pk = models.CompositePrimaryKey("tenant_id", "digest", "chunk", "content_on")
    tenant_id = models.BigIntegerField()
    digest = models.BinaryField()
    chunk = models.IntegerField()
    content_on = models.DateField()
    key_id = models.IntegerField()
    codec = models.SmallIntegerField()
    sealed = models.BinaryField()

    class Meta:
        db_table = "blob_content"


class MessageBlob(models.Model):
    """Who uses a blob: the blobs of a message in the order its segments count them."""

    pk = models.CompositePrimaryKey("tenant_id", "message_id", "ordinal")
    tenant_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    ordinal = models.SmallIntegerField()
    digest = models.BinaryField()

    class Meta:
        db_table = "message_blob"
        indexes = [models.Index(fields=["tenant_id", "digest"], name="message_blob_by_digest")]


class Inbound(models.Model):
    """Accepted mail for several tenants or many recipients, not yet placed for all of them.

    Account i of `account_ids` is one of tenant i of `tenant_ids`. It belongs to no tenant: its content is sealed
    under the installation's key, and only `waypost_system` sees who it is for.
    """

    id = models.BigIntegerField(primary_key=True)
    accepted_at = models.DateTimeField()
    octets = models.BigIntegerField()
    tenant_ids = ArrayField(models.BigIntegerField())
    account_ids = ArrayField(models.BigIntegerField())
    leased_until = models.DateTimeField()

    class Meta:
        db_table = "inbound"


class InboundContent(models.Model):
    pk = models.CompositePrimaryKey("inbound_id", "chunk")
    inbound_id = models.BigIntegerField()
    chunk = models.IntegerField()
    codec = models.SmallIntegerField()
    sealed = models.BinaryField()

    class Meta:
        db_table = "inbound_content"


class InboundPlaced(models.Model):
    """Says that an inbound message was placed for an account, so that a replay is harmless."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "inbound_id")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    inbound_id = models.BigIntegerField()
    placed_on = models.DateField()

    class Meta:
        db_table = "inbound_placed"


class Outgoing(models.Model):
    """A message on its way to other systems: what its recipients share. `content_name` is what its chunks are sealed
    under; `account_id` NULL: the installation itself sends it. `future_release`: how its sender asked that it wait."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    account_id = models.BigIntegerField(null=True)
    reverse_path = models.TextField()
    envelope_id = models.TextField(null=True)
    return_content = models.SmallIntegerField(null=True)
    needs_utf8 = models.BooleanField()
    body = models.SmallIntegerField()
    octets = models.BigIntegerField()
    queued_at = models.DateTimeField()
    content_name = models.BinaryField()
    future_release = models.TextField(null=True)

    class Meta:
        db_table = "outgoing"


class OutgoingContent(models.Model):
    """The octets of a queued message in chunks, sealed under the tenant's data key."""

    pk = models.CompositePrimaryKey("tenant_id", "outgoing_id", "chunk")
    tenant_id = models.BigIntegerField()
    outgoing_id = models.BigIntegerField()
    chunk = models.IntegerField()
    key_id = models.IntegerField()
    codec = models.SmallIntegerField()
    sealed = models.BinaryField()

    class Meta:
        db_table = "outgoing_content"


class OutgoingRecipient(models.Model):
    """One address of another system that a message still has to reach, or of which its sender is still to be told.

    A lease is `leased_until` with the `token` it raised: who settles with an older token settles nothing. Waiting
    (for expiry and the notice of delay) counts from `waits_since`, which a release sets anew. `unsettled_leases` is how
    many in a row ended without a word, as when the process died.
    """

    pk = models.CompositePrimaryKey("tenant_id", "outgoing_id", "ordinal")
    tenant_id = models.BigIntegerField()
    outgoing_id = models.BigIntegerField()
    ordinal = models.IntegerField()
    address = models.TextField()
    domain = models.TextField()
    original_recipient = models.TextField(null=True)
    notify = models.SmallIntegerField(null=True)
    state = models.SmallIntegerField()
    held_reason = models.SmallIntegerField(null=True)
    next_attempt_at = models.DateTimeField()
    waits_since = models.DateTimeField()
    attempts = models.IntegerField(db_default=0)
    token = models.IntegerField(db_default=0)
    leased_until = models.DateTimeField(null=True)
    unsettled_leases = models.SmallIntegerField(db_default=0)
    attempted_at = models.DateTimeField(null=True)
    reply_code = models.SmallIntegerField(db_default=0)
    reply_enhanced = models.TextField(db_default="")
    reply_text = models.TextField(db_default="")
    reply_host = models.TextField(db_default="")
    report = models.SmallIntegerField(db_default=0)
    report_id = models.BigIntegerField(null=True)
    is_delay_told = models.BooleanField(db_default=False)

    class Meta:
        db_table = "outgoing_recipient"
        indexes = [
            models.Index(
                fields=["tenant_id", "domain", "next_attempt_at"],
                condition=models.Q(state=0),
                name="outgoing_recipient_queued",
            ),
            models.Index(
                fields=["tenant_id", "held_reason"], condition=models.Q(state=1), name="outgoing_recipient_held"
            ),
            models.Index(
                fields=["tenant_id", "outgoing_id"], condition=~models.Q(report=0), name="outgoing_recipient_to_report"
            ),
        ]


class OutgoingHold(models.Model):
    """An administrator's word that mail of a tenant, of one of its accounts, or for a domain is held from now on."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    account_id = models.BigIntegerField(null=True)
    domain = models.TextField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "outgoing_hold"


class SendingCount(models.Model):
    """How many recipients elsewhere an account (0: the tenant) sent to in an hour; in shards, so that submissions of
    one account do not wait for each other's commits."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "hour", "shard")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    hour = models.DateTimeField()
    shard = models.SmallIntegerField()
    recipients = models.IntegerField()

    class Meta:
        db_table = "sending_count"


class Smarthost(models.Model):
    """The host through which a tenant's mail leaves, if not straight to its recipients' hosts."""

    tenant_id = models.BigIntegerField(primary_key=True)
    host = models.TextField()
    port = models.IntegerField()
    security = models.TextField()
    username = models.TextField(null=True)
    key_id = models.IntegerField(null=True)
    sealed_password = models.BinaryField(null=True)

    class Meta:
        db_table = "smarthost"


class Event(models.Model):
    """What happened to mail, one row for each act, in a partition a day."""

    pk = models.CompositePrimaryKey("tenant_id", "id", "happened_on")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    happened_on = models.DateField()
    happened_at = models.DateTimeField()
    kind = models.SmallIntegerField()
    account_id = models.BigIntegerField(null=True)
    outgoing_id = models.BigIntegerField(null=True)
    address = models.TextField(null=True)
    recipients = models.IntegerField(null=True)
    reply_code = models.SmallIntegerField(null=True)
    reply_enhanced = models.TextField(null=True)
    reply_text = models.TextField(null=True)
    reply_host = models.TextField(null=True)

    class Meta:
        db_table = "event"
        indexes = [models.Index(fields=["tenant_id", "outgoing_id"], name="event_of_outgoing")]


class SearchPage(models.Model):
    """Immutable facts of messages of 1,024 consecutive uids, packed for search and SORT. It can be dropped.

    `number` is uid >> 10; `stamp` tells this page from one made before; a column that is NULL was not needed yet.
    """

    pk = models.CompositePrimaryKey("tenant_id", "mailbox_id", "number")
    tenant_id = models.BigIntegerField()
    mailbox_id = models.BigIntegerField()
    number = models.IntegerField()
    account_id = models.BigIntegerField()
    format = models.SmallIntegerField()
    stamp = models.BigIntegerField()
    facts = models.BinaryField()
    subjects = models.BinaryField(null=True)
    addresses = models.BinaryField(null=True)
    sorting = models.BinaryField(null=True)
    threading = models.BinaryField(null=True)

    class Meta:
        db_table = "search_page"


class Recoverable(models.Model):
    r"""The bin: a message that was expunged, stands in no mailbox, and can be brought back for a while.

    `mailbox_id` is where it stood last, perhaps a tombstone; `flags` are those it had there.
    """

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "message_id")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    mailbox_id = models.BigIntegerField()
    flags = models.SmallIntegerField()
    keywords = ArrayField(models.TextField(), null=True)
    octets = models.BigIntegerField()
    expunged_at = models.DateTimeField()

    class Meta:
        db_table = "recoverable"
        indexes = [models.Index(fields=["tenant_id", "expunged_at", "message_id"], name="recoverable_by_time")]


class QuotaNotice(models.Model):
    """Who was told how full an account is, in percent, and did not become emptier since. Account 0: the tenant's
    pool."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    percent = models.SmallIntegerField()

    class Meta:
        db_table = "quota_notice"


class ResealOrder(models.Model):
    """An administrator's word that what old keys of a tenant sealed is to be sealed anew."""

    tenant_id = models.BigIntegerField(primary_key=True)
    asked_at = models.DateTimeField()

    class Meta:
        db_table = "reseal_order"


class Shredding(models.Model):
    """A tenant that is being shredded, or was: how far it came, and the certificate. It belongs to no tenant.

    `found` is what there was before, `deleted` counts rows by table, chunk by chunk in the transactions that delete.
    """

    tenant = models.BigIntegerField(primary_key=True)
    slug = models.TextField()
    administrator = models.TextField()
    begun_at = models.DateTimeField()
    found = models.JSONField()
    key_destroyed_at = models.DateTimeField(null=True)
    objects_deleted_at = models.DateTimeField(null=True)
    deleted = models.JSONField(db_default={})
    certificate = models.TextField(null=True)

    class Meta:
        db_table = "shredding"


class TierUsage(models.Model):
    """What an account's messages take in each tier, on a day; account 0: the whole tenant, each blob once.

    `octets` are those of the messages as clients see them. Of an account every reference to a blob counts, as if
    nothing were shared. `row_octets`: in the rows of messages. `dead_octets`, of tenants: in objects, of what is not
    used any more.
    """

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "day")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    day = models.DateField()
    messages = models.BigIntegerField()
    octets = models.BigIntegerField()
    hot_octets = models.BigIntegerField()
    cold_octets = models.BigIntegerField()
    part_octets = models.BigIntegerField()
    dead_octets = models.BigIntegerField(db_default=0)
    row_octets = models.BigIntegerField()

    class Meta:
        db_table = "tier_usage"
        indexes = [models.Index(fields=["tenant_id", "day"], name="tier_usage_by_day")]


class TypeState(models.Model):
    """The account's modseq at which a JMAP type last changed that the log of mail does not know: Identity, Quota …"""

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "type_name")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    type_name = models.TextField()
    modseq = models.BigIntegerField()

    class Meta:
        db_table = "type_state"


class Upload(models.Model):
    """Octets that somebody uploaded and no message has taken in yet. `octets` NULL: it is still coming; `name` is what
    its chunks are sealed under."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    name = models.BinaryField()
    octets = models.BigIntegerField(null=True)
    uploaded_at = models.DateTimeField()

    class Meta:
        db_table = "upload"
        indexes = [models.Index(fields=["tenant_id", "account_id", "id"], name="upload_of_account")]


class UploadContent(models.Model):
    """The octets of an upload in chunks, sealed under the tenant's data key."""

    pk = models.CompositePrimaryKey("tenant_id", "upload_id", "chunk")
    tenant_id = models.BigIntegerField()
    upload_id = models.BigIntegerField()
    chunk = models.IntegerField()
    key_id = models.IntegerField()
    codec = models.SmallIntegerField()
    sealed = models.BinaryField()

    class Meta:
        db_table = "upload_content"


class MessageText(models.Model):
    """The words of a message in their order, for full-text search; of a long one in several rows, by `part`.

    `problem`: 0 none, 1 the message is damaged, 2 it was out of reach and is tried again. It can be made anew.
    """

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "message_id", "part")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    part = models.SmallIntegerField()
    problem = models.SmallIntegerField(db_default=0)
    words = models.TextField()

    class Meta:
        db_table = "message_text"


class TextState(models.Model):
    """How far search knows an account: every message created up to `modseq`, in its vocabulary those up to
    `vocabulary_id`; `purged` were deleted since that was made."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    modseq = models.BigIntegerField()
    vocabulary_id = models.BigIntegerField(db_default=0)
    purged = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "text_state"


class TextVocabulary(models.Model):
    """Different words that an account's messages hold, in which pieces of words are looked for. Made anew at will."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "number")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    number = models.IntegerField()
    words = models.BinaryField()

    class Meta:
        db_table = "text_vocabulary"


class Identity(models.Model):
    """As whom somebody writes: an address of theirs, with a name and signatures. `is_of_address`: it comes and goes
    with the address. One that `is_destroyed` is kept for who asks what changed; `reply_to` and `bcc` are JSON."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    email = models.TextField()
    name = models.TextField()
    reply_to = models.TextField(null=True)
    bcc = models.TextField(null=True)
    text_signature = models.TextField(db_default="")
    html_signature = models.TextField(db_default="")
    is_of_address = models.BooleanField(db_default=False)
    created_modseq = models.BigIntegerField()
    modseq = models.BigIntegerField()
    is_destroyed = models.BooleanField(db_default=False)

    class Meta:
        db_table = "identity"
        indexes = [models.Index(fields=["tenant_id", "account_id", "modseq"], name="identity_of_account")]


class EmailSubmission(models.Model):
    """A message that somebody sent, or will: the record that they see. `envelope` is JSON as they gave it; `fates` says
    what became of it, by address; `outgoing_id` is what the queue calls it while more may become of it, and
    `open_recipients` how many were not over when upkeep last looked (NULL: it never did).
    `report_ids` are messages that the queue sent its owner of it, oldest first."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    identity_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    thread_id = models.BigIntegerField()
    envelope = models.TextField()
    fates = models.TextField(db_default="{}")
    send_at = models.DateTimeField()
    undo_status = models.SmallIntegerField()
    outgoing_id = models.BigIntegerField(null=True)
    open_recipients = models.IntegerField(null=True)
    report_ids = ArrayField(models.BigIntegerField(), db_default=[])
    created_modseq = models.BigIntegerField()
    modseq = models.BigIntegerField()
    is_destroyed = models.BooleanField(db_default=False)

    class Meta:
        db_table = "email_submission"
        indexes = [
            models.Index(fields=["tenant_id", "account_id", "modseq"], name="email_submission_of_account"),
            models.Index(
                fields=["tenant_id", "id"], condition=models.Q(outgoing_id__isnull=False), name="email_submission_open"
            ),
            models.Index(
                fields=["tenant_id", "outgoing_id"],
                condition=models.Q(outgoing_id__isnull=False),
                name="email_submission_of_outgoing",
            ),
        ]


class HeldSubmission(models.Model):
    """Mail that waits for its time. Its octets rest as those of the `outgoing` message of this id, which has no
    recipients yet. Who comes with an older token than the lease's releases nothing. `fates` is as in `EmailSubmission`:
    of mail without such a record, handed in by SMTP."""

    pk = models.CompositePrimaryKey("tenant_id", "submission_id")
    tenant_id = models.BigIntegerField()
    submission_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    release_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    token = models.IntegerField(db_default=0)
    fates = models.TextField(null=True)

    class Meta:
        db_table = "held_submission"
        indexes = [models.Index(fields=["tenant_id", "account_id"], name="held_submission_of_account")]


class Vacation(models.Model):
    """What somebody answers while they are away (RFC 8621 §8). `inside_text_body` is for people of their own tenant."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    is_enabled = models.BooleanField()
    from_at = models.DateTimeField(null=True)
    to_at = models.DateTimeField(null=True)
    subject = models.TextField(null=True)
    text_body = models.TextField(null=True)
    html_body = models.TextField(null=True)
    inside_text_body = models.TextField(null=True)

    class Meta:
        db_table = "vacation"


class VacationAnswer(models.Model):
    """Who was answered when, so that nobody is answered twice in a while (RFC 3834 §2)."""

    pk = models.CompositePrimaryKey("tenant_id", "account_id", "sender")
    tenant_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    sender = models.TextField()
    answered_at = models.DateTimeField()

    class Meta:
        db_table = "vacation_answer"


class PushSubscription(models.Model):
    """Where a device wants to hear of changes. `sealed`: URL and keys. `told_epoch` and `told_modseq`: up to where it
    was told, or somebody is about to; nothing is sent before `not_before`. Made with an app password, a token of the
    person's own, a program's leave, or none of these: their own sign-in."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    sign_in_epoch = models.IntegerField()
    app_password_id = models.BigIntegerField(null=True)
    token_id = models.BigIntegerField(null=True)
    grant_id = models.BigIntegerField(null=True)
    device_client_id = models.TextField()
    sealed = models.BinaryField()
    types = ArrayField(models.TextField(), null=True)
    verification_code = models.TextField()
    is_verified = models.BooleanField(db_default=False)
    expires_at = models.DateTimeField()
    told_epoch = models.IntegerField(db_default=0)
    told_modseq = models.BigIntegerField(db_default=0)
    failures = models.IntegerField(db_default=0)
    not_before = models.DateTimeField()

    class Meta:
        db_table = "push_subscription"
        indexes = [models.Index(fields=["tenant_id", "account_id"], name="push_subscription_of_account")]
