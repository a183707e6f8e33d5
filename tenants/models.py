"""The control-plane tables: who exists. Declarations and constraints only; the rules live in `services` and `routes`.

A tenant or account is never removed: `deleted` is a status, so an id is never given out again. All tables are under
forced row-level security (migrations 0002, 0004); what knows no tenant yet, RCPT and sign-in, reads through the
`directory_*` functions. Composite foreign keys there keep every row's tenant that of what it points at.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from tenants.quota import DAYS_LIMIT

STATUSES = [("active", "active"), ("suspended", "suspended"), ("deleted", "deleted")]
SENDERS = [("anyone", "anyone"), ("tenant", "tenant"), ("members", "members")]

STATUS_IS_KNOWN = Q(status__in=["active", "suspended", "deleted"])
HASH_IS_ARGON2ID = Q(("password_hash__startswith", "$argon2id$"))
LANGUAGE_IS_TAG = Q(language__regex=r"^[a-z]{2,3}(-[a-z0-9]{1,8})*$")


def _days(name: str) -> Q:
    return Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": 0, f"{name}__lte": DAYS_LIMIT})


class Tenant(models.Model):
    """A company. `slug` is what administrators type, by default its first domain; `cell` is where its mail lives.

    The columns from `cold_after_days` on are its policies: `policies.TenantPolicy` says what they mean.
    """

    slug = models.CharField(max_length=255)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=STATUSES, default="active")
    cell = models.CharField(max_length=63, default="main")
    language = models.CharField(max_length=35, default="en")
    time_zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(db_default=Now())
    cold_after_days = models.IntegerField(null=True, default=90, db_default=90)
    hot_budget_octets = models.BigIntegerField(null=True)
    promote_within_days = models.IntegerField(null=True, default=7, db_default=7)
    quota_octets = models.BigIntegerField(null=True)
    recoverable_days = models.IntegerField(default=30, db_default=30)
    account_recovery_days = models.IntegerField(default=30, db_default=30)
    is_held = models.BooleanField(default=False, db_default=False)
    hold_reason = models.CharField(max_length=500, default="", db_default="")

    class Meta:
        db_table = "tenant"
        constraints = (
            models.UniqueConstraint(fields=["slug"], condition=~Q(status="deleted"), name="tenant_slug_unique"),
            models.CheckConstraint(condition=STATUS_IS_KNOWN, name="tenant_status_known"),
            models.CheckConstraint(condition=Q(slug__regex=r"^[a-z0-9][a-z0-9.-]*$"), name="tenant_slug_plain"),
            models.CheckConstraint(condition=~Q(name=""), name="tenant_name_given"),
            models.CheckConstraint(condition=LANGUAGE_IS_TAG, name="tenant_language_tag"),
            models.CheckConstraint(
                condition=_days("cold_after_days") & _days("promote_within_days"), name="tenant_tier_days"
            ),
            models.CheckConstraint(
                condition=_days("recoverable_days") & _days("account_recovery_days"), name="tenant_recovery_days"
            ),
            models.CheckConstraint(
                condition=(Q(quota_octets__isnull=True) | Q(quota_octets__gt=0))
                & (Q(hot_budget_octets__isnull=True) | Q(hot_budget_octets__gte=0)),
                name="tenant_octets_positive",
            ),
        )

    def __str__(self) -> str:
        return self.slug


class Domain(models.Model):
    """A mail domain, as its lower-case A-label (RFC 5890 §2.3.2.1).

    One that stands for another has no addresses of its own: all of the other's are good there too. What nobody has in a
    domain with a catch-all goes to that account or group.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="domains")
    name = models.CharField(max_length=255, unique=True)
    status = models.CharField(max_length=16, choices=STATUSES, default="active")
    created_at = models.DateTimeField(db_default=Now())
    stands_for = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="stood_for_by", db_constraint=False
    )
    catch_all_account = models.ForeignKey(
        "Account", on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False
    )
    catch_all_group = models.ForeignKey(
        "Group", on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False
    )

    class Meta:
        db_table = "domain"
        constraints = (
            models.UniqueConstraint(fields=["tenant", "id"], name="domain_tenant_id_unique"),
            models.CheckConstraint(condition=STATUS_IS_KNOWN, name="domain_status_known"),
            models.CheckConstraint(
                condition=Q(name__regex=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"),
                name="domain_name_is_a_label",
            ),
            models.CheckConstraint(
                condition=Q(catch_all_account__isnull=True) | Q(catch_all_group__isnull=True),
                name="domain_one_catch_all",
            ),
            models.CheckConstraint(
                condition=Q(stands_for__isnull=True)
                | (Q(catch_all_account__isnull=True) & Q(catch_all_group__isnull=True) & ~Q(stands_for=F("id"))),
                name="domain_that_stands_for_another_is_nothing_itself",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Account(models.Model):
    """A person, or a function, that has mail. `password_hash` is argon2id in PHC form; no quota means unlimited.

    `keeps_copy` says whether mail stays here too where rows of `Forwarding` pass it on.

    The SCRAM keys (RFC 5802) are those of the password whose hash `scram_made_for` repeats; made for another they count
    for nothing. Salt and iterations are shared with the account's app passwords, since SCRAM tells them to the client
    before it shows which password it has.

    A deleted one can be restored until the tenant's `account_recovery_days` after `deleted_at`. Then it ends: from
    `ended_at` on its mail is being deleted, and at `gone_at` it was. `is_held` is a legal hold: nothing of it is
    deleted for good.

    `sign_in_epoch` counts how often everything this person had open was ended: what was admitted in an earlier epoch is
    over (`sign_in_ends`). `sign_ins_ended_at` is when that was last, or when a program's leave ended.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="accounts")
    display_name = models.CharField(max_length=200)
    password_hash = models.CharField(max_length=255)
    is_administrator = models.BooleanField(default=False)
    language = models.CharField(max_length=35, default="en")
    time_zone = models.CharField(max_length=64, default="UTC")
    quota_octets = models.BigIntegerField(null=True)
    status = models.CharField(max_length=16, choices=STATUSES, default="active")
    created_at = models.DateTimeField(db_default=Now())
    password_changed_at = models.DateTimeField(db_default=Now())
    keeps_copy = models.BooleanField(default=True, db_default=True)
    app_passwords_only = models.BooleanField(default=False, db_default=False)
    scram_salt = models.BinaryField(null=True)
    scram_iterations = models.IntegerField(null=True)
    scram_stored_key = models.BinaryField(null=True)
    scram_server_key = models.BinaryField(null=True)
    scram_made_for = models.CharField(max_length=255, default="", db_default="")
    deleted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)
    is_held = models.BooleanField(default=False, db_default=False)
    hold_reason = models.CharField(max_length=500, default="", db_default="")
    sign_in_epoch = models.BigIntegerField(default=0, db_default=0)
    sign_ins_ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "account"
        indexes = (
            models.Index(
                fields=["sign_ins_ended_at"],
                condition=Q(sign_ins_ended_at__isnull=False),
                name="account_sign_ins_ended",
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["tenant", "id"], name="account_tenant_id_unique"),
            models.CheckConstraint(condition=STATUS_IS_KNOWN, name="account_status_known"),
            models.CheckConstraint(condition=HASH_IS_ARGON2ID, name="account_password_is_argon2id"),
            models.CheckConstraint(
                condition=Q(quota_octets__isnull=True) | Q(quota_octets__gt=0), name="account_quota_positive"
            ),
            models.CheckConstraint(condition=LANGUAGE_IS_TAG, name="account_language_tag"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(status="deleted", deleted_at__isnull=False),
                name="account_ends_deleted",
            ),
        )

    def __str__(self) -> str:
        return f"account {self.pk}"


class AppPassword(models.Model):
    """A random password for one program of a person. `scopes` are words with spaces between: `imap pop smtp`.

    `digest` is SHA-256 of the account's SCRAM salt and the password: it has 73 random bits, which nobody tries through,
    so that signing in with one costs no slow hash.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="app_passwords", db_constraint=False)
    name = models.CharField(max_length=200)
    scopes = models.CharField(max_length=64)
    digest = models.BinaryField()
    scram_stored_key = models.BinaryField()
    scram_server_key = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_used_network = models.CharField(max_length=64, default="", db_default="")

    class Meta:
        db_table = "app_password"
        constraints = (
            models.UniqueConstraint(fields=["account", "name"], name="app_password_name_unique"),
            models.CheckConstraint(
                condition=Q(scopes__regex=r"^(imap|pop|smtp|jmap)( (imap|pop|smtp|jmap))*$"),
                name="app_password_scopes_known",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Group(models.Model):
    """An address that stands for many. `who_may_send` is judged of whoever writes to it directly.

    `owner_address` hears of what cannot be delivered to its outside members; empty: nobody does.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="groups")
    name = models.CharField(max_length=200)
    who_may_send = models.CharField(max_length=16, choices=SENDERS, default="anyone")
    owner_address = models.CharField(max_length=320, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "mail_group"
        constraints = (
            models.UniqueConstraint(fields=["tenant", "id"], name="mail_group_tenant_id_unique"),
            models.CheckConstraint(
                condition=Q(who_may_send__in=["anyone", "tenant", "members"]), name="mail_group_senders_known"
            ),
        )

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    """One address a group stands for, here or elsewhere: as it is written to, and its canonical form."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members", db_constraint=False)
    written = models.CharField(max_length=320)
    local_part = models.CharField(max_length=64)
    domain = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "group_member"
        constraints = (models.UniqueConstraint(fields=["group", "domain", "local_part"], name="group_member_unique"),)

    def __str__(self) -> str:
        return self.written


class Forwarding(models.Model):
    """One address to which an account's mail is passed on, here or elsewhere; columns as in `GroupMember`."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="forwardings", db_constraint=False)
    written = models.CharField(max_length=320)
    local_part = models.CharField(max_length=64)
    domain = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "forwarding"
        constraints = (models.UniqueConstraint(fields=["account", "domain", "local_part"], name="forwarding_unique"),)

    def __str__(self) -> str:
        return self.written


class Address(models.Model):
    """A canonical address of an account or of a group: its primary address, or an alias.

    Plus-addresses are a rule, not rows. The tenant is repeated for row-level security.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="addresses", db_constraint=False)
    local_part = models.CharField(max_length=64)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, related_name="addresses", db_constraint=False
    )
    group = models.ForeignKey(Group, on_delete=models.CASCADE, null=True, related_name="addresses", db_constraint=False)
    is_primary = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "address"
        constraints = (
            models.UniqueConstraint(fields=["domain", "local_part"], name="address_unique"),
            models.UniqueConstraint(fields=["account"], condition=Q(is_primary=True), name="address_one_primary"),
            models.UniqueConstraint(
                fields=["group"], condition=Q(is_primary=True), name="address_one_primary_of_group"
            ),
            models.CheckConstraint(
                condition=Q(account__isnull=False, group__isnull=True) | Q(account__isnull=True, group__isnull=False),
                name="address_of_one",
            ),
            models.CheckConstraint(condition=~Q(local_part=""), name="address_local_part_given"),
            models.CheckConstraint(condition=~Q(local_part__contains="+"), name="address_has_no_detail"),
        )

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"


class RetentionRule(models.Model):
    r"""What becomes of messages that lie in a folder for longer than `days`.

    `folder` is a mailbox name, or a special use such as \Trash (RFC 6154); what lies below a mailbox has its own rules.
    Without an account it is the rule of everybody who has none of their own for that folder. `action`: `remove` takes
    them as EXPUNGE does, `trash` moves them to the mailbox that is used as trash.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="retention_rules")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False)
    folder = models.CharField(max_length=1000)
    days = models.IntegerField()
    action = models.CharField(max_length=16, choices=[("remove", "remove"), ("trash", "trash")])
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "retention_rule"
        constraints = (
            models.UniqueConstraint(
                fields=["tenant", "account", "folder"], nulls_distinct=False, name="retention_rule_unique"
            ),
            models.CheckConstraint(condition=~Q(folder=""), name="retention_rule_folder_given"),
            models.CheckConstraint(condition=Q(days__gte=1, days__lte=DAYS_LIMIT), name="retention_rule_days"),
            models.CheckConstraint(condition=Q(action__in=["remove", "trash"]), name="retention_rule_action_known"),
        )

    def __str__(self) -> str:
        return f"{self.folder}: {self.action} after {self.days} days"


class WebSession(models.Model):
    """Somebody signed in with a browser; `digest` is SHA-256 of the token in its cookie (256 random bits).

    In the stage `code` the password was right and the second factor has not come yet. `verified_at` is when the person
    last showed who they are. `network` is where the browser was seen last, `client` what it calls itself.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="web_sessions", db_constraint=False)
    digest = models.BinaryField()
    stage = models.CharField(max_length=8, choices=[("code", "code"), ("open", "open")])
    created_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    verified_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    network = models.CharField(max_length=64)
    client = models.CharField(max_length=300)

    class Meta:
        db_table = "web_session"
        constraints = (
            models.UniqueConstraint(fields=["digest"], name="web_session_digest_unique"),
            models.CheckConstraint(condition=Q(stage__in=["code", "open"]), name="web_session_stage_known"),
        )

    def __str__(self) -> str:
        return f"web session {self.pk}"


class Totp(models.Model):
    """The secret of a person's authenticator app (RFC 6238), sealed under keys that Postgres does not have.

    Until `confirmed_at` it counts for nothing. `last_step` is that of the last code that was good: none is good twice.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="totp", db_constraint=False)
    sealed = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "totp"

    def __str__(self) -> str:
        return f"totp {self.pk}"


class RecoveryCode(models.Model):
    """A code that stands in for a second factor once. `digest` is keyed, so that the table alone tells nothing."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="recovery_codes", db_constraint=False)
    digest = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "recovery_code"
        constraints = (models.UniqueConstraint(fields=["account", "digest"], name="recovery_code_unique"),)

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class Passkey(models.Model):
    """A WebAuthn credential of a person. `rp_id` is the host name it was made at and is good at.

    `last_challenge_at` is when the challenge of its last use was made: one made no later is not taken again.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="passkeys", db_constraint=False)
    credential_id = models.BinaryField()
    public_key = models.BinaryField()
    sign_count = models.BigIntegerField()
    rp_id = models.CharField(max_length=255)
    transports = models.CharField(max_length=100, default="", db_default="")
    is_backed_up = models.BooleanField()
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)
    last_challenge_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "passkey"
        constraints = (
            models.UniqueConstraint(fields=["credential_id"], name="passkey_credential_unique"),
            models.UniqueConstraint(fields=["account", "name"], name="passkey_name_unique"),
        )

    def __str__(self) -> str:
        return self.name


class OAuthClient(models.Model):
    """A program that asks people for access to their mail (RFC 6749 §1.1), known to this installation.

    All are public clients (§2.1): they keep no secret and show by PKCE that they are who asked. `redirect_uris` are
    compared as they stand, but for the port of a loopback address (RFC 8252 §7.3).
    """

    client_id = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=200)
    redirect_uris = ArrayField(models.CharField(max_length=1000))
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "oauth_client"
        constraints = (models.UniqueConstraint(fields=["name"], name="oauth_client_name_unique"),)

    def __str__(self) -> str:
        return self.name


class OAuthGrant(models.Model):
    """A person's leave for a program, good for `scopes` until it is revoked. Codes and tokens are kept as SHA-256.

    The code is good once, until `code_expires_at`; whoever brings a spent one ends the grant. So does a refresh token
    that was replaced, but for a moment in which the answer may have been lost.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    client = models.ForeignKey(OAuthClient, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    scopes = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    code_digest = models.BinaryField()
    code_challenge = models.CharField(max_length=43)
    code_expires_at = models.DateTimeField()
    code_spent_at = models.DateTimeField(null=True)
    redirect_uri = models.CharField(max_length=1000)
    refresh_digest = models.BinaryField(null=True)
    replaced_digest = models.BinaryField(null=True)
    refreshed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "oauth_grant"
        constraints = (
            models.UniqueConstraint(fields=["code_digest"], name="oauth_grant_code_unique"),
            models.UniqueConstraint(fields=["refresh_digest"], name="oauth_grant_refresh_unique"),
        )
        indexes = (
            models.Index(
                fields=["replaced_digest"], condition=Q(replaced_digest__isnull=False), name="oauth_grant_replaced"
            ),
            models.Index(fields=["account"], name="oauth_grant_of_account"),
        )

    def __str__(self) -> str:
        return f"grant {self.pk}"


class BearerToken(models.Model):
    """Who bears it is the person, within `scopes` (RFC 6750). `digest` is SHA-256 of 256 random bits.

    Those of a grant come and go with it; the others a person made for a program and named.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    grant = models.ForeignKey(
        OAuthGrant, on_delete=models.CASCADE, null=True, related_name="tokens", db_constraint=False
    )
    name = models.CharField(max_length=200, default="", db_default="")
    scopes = models.CharField(max_length=64)
    digest = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_used_network = models.CharField(max_length=64, default="", db_default="")

    class Meta:
        db_table = "bearer_token"
        constraints = (
            models.UniqueConstraint(fields=["digest"], name="bearer_token_digest_unique"),
            models.UniqueConstraint(fields=["account", "name"], condition=~Q(name=""), name="bearer_token_name_unique"),
            models.CheckConstraint(
                condition=Q(scopes__regex=r"^(imap|pop|smtp|jmap)( (imap|pop|smtp|jmap))*$"),
                name="bearer_token_scopes_known",
            ),
        )

    def __str__(self) -> str:
        return f"bearer token {self.pk}"
