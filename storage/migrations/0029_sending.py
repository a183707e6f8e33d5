"""As whom people write, what they sent or will send, and what answers for them while they are away."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "sending.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0028_message_text")]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="Identity",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("email", models.TextField()),
                ("name", models.TextField()),
                ("reply_to", models.TextField(null=True)),
                ("bcc", models.TextField(null=True)),
                ("text_signature", models.TextField(db_default="")),
                ("html_signature", models.TextField(db_default="")),
                ("is_of_address", models.BooleanField(db_default=False)),
                ("created_modseq", models.BigIntegerField()),
                ("modseq", models.BigIntegerField()),
                ("is_destroyed", models.BooleanField(db_default=False)),
            ],
            options={
                "db_table": "identity",
                "indexes": [models.Index(fields=["tenant_id", "account_id", "modseq"], name="identity_of_account")],
            },
        ),
        migrations.CreateModel(
            name="EmailSubmission",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("identity_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField()),
                ("thread_id", models.BigIntegerField()),
                ("envelope", models.TextField()),
                ("fates", models.TextField(db_default="{}")),
                ("send_at", models.DateTimeField()),
                ("undo_status", models.SmallIntegerField()),
                ("outgoing_id", models.BigIntegerField(null=True)),
                ("created_modseq", models.BigIntegerField()),
                ("modseq", models.BigIntegerField()),
                ("is_destroyed", models.BooleanField(db_default=False)),
            ],
            options={
                "db_table": "email_submission",
                "indexes": [
                    models.Index(fields=["tenant_id", "account_id", "modseq"], name="email_submission_of_account"),
                    models.Index(
                        fields=["tenant_id", "id"],
                        condition=models.Q(outgoing_id__isnull=False),
                        name="email_submission_open",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HeldSubmission",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "submission_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("submission_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("release_at", models.DateTimeField()),
                ("leased_until", models.DateTimeField(null=True)),
                ("token", models.IntegerField(db_default=0)),
            ],
            options={
                "db_table": "held_submission",
                "indexes": [models.Index(fields=["tenant_id", "account_id"], name="held_submission_of_account")],
            },
        ),
        migrations.CreateModel(
            name="Vacation",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "account_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("is_enabled", models.BooleanField()),
                ("from_at", models.DateTimeField(null=True)),
                ("to_at", models.DateTimeField(null=True)),
                ("subject", models.TextField(null=True)),
                ("text_body", models.TextField(null=True)),
                ("html_body", models.TextField(null=True)),
                ("inside_text_body", models.TextField(null=True)),
            ],
            options={"db_table": "vacation"},
        ),
        migrations.CreateModel(
            name="VacationAnswer",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "account_id",
                        "sender",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("sender", models.TextField()),
                ("answered_at", models.DateTimeField()),
            ],
            options={"db_table": "vacation_answer"},
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
