"""Tables of mail on its way to other systems, and of what happened to mail."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("storage", "0004_count_mailboxes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Outgoing",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField(null=True)),
                ("reverse_path", models.TextField()),
                ("envelope_id", models.TextField(null=True)),
                ("return_content", models.SmallIntegerField(null=True)),
                ("needs_utf8", models.BooleanField()),
                ("body", models.SmallIntegerField()),
                ("octets", models.BigIntegerField()),
                ("queued_at", models.DateTimeField()),
                ("content_name", models.BinaryField()),
            ],
            options={
                "db_table": "outgoing",
            },
        ),
        migrations.CreateModel(
            name="OutgoingContent",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "outgoing_id",
                        "chunk",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("outgoing_id", models.BigIntegerField()),
                ("chunk", models.IntegerField()),
                ("key_id", models.IntegerField()),
                ("codec", models.SmallIntegerField()),
                ("sealed", models.BinaryField()),
            ],
            options={
                "db_table": "outgoing_content",
            },
        ),
        migrations.CreateModel(
            name="OutgoingHold",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField(null=True)),
                ("domain", models.TextField(null=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "outgoing_hold",
            },
        ),
        migrations.CreateModel(
            name="SendingCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "account_id",
                        "hour",
                        "shard",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("hour", models.DateTimeField()),
                ("shard", models.SmallIntegerField()),
                ("recipients", models.IntegerField()),
            ],
            options={
                "db_table": "sending_count",
            },
        ),
        migrations.CreateModel(
            name="Smarthost",
            fields=[
                ("tenant_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("host", models.TextField()),
                ("port", models.IntegerField()),
                ("security", models.TextField()),
                ("username", models.TextField(null=True)),
                ("key_id", models.IntegerField(null=True)),
                ("sealed_password", models.BinaryField(null=True)),
            ],
            options={
                "db_table": "smarthost",
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "id", "happened_on", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("id", models.BigIntegerField()),
                ("happened_on", models.DateField()),
                ("happened_at", models.DateTimeField()),
                ("kind", models.SmallIntegerField()),
                ("account_id", models.BigIntegerField(null=True)),
                ("outgoing_id", models.BigIntegerField(null=True)),
                ("address", models.TextField(null=True)),
                ("recipients", models.IntegerField(null=True)),
                ("reply_code", models.SmallIntegerField(null=True)),
                ("reply_enhanced", models.TextField(null=True)),
                ("reply_text", models.TextField(null=True)),
                ("reply_host", models.TextField(null=True)),
            ],
            options={
                "db_table": "event",
                "indexes": [models.Index(fields=["tenant_id", "outgoing_id"], name="event_of_outgoing")],
            },
        ),
        migrations.CreateModel(
            name="OutgoingRecipient",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "outgoing_id",
                        "ordinal",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("outgoing_id", models.BigIntegerField()),
                ("ordinal", models.IntegerField()),
                ("address", models.TextField()),
                ("domain", models.TextField()),
                ("original_recipient", models.TextField(null=True)),
                ("notify", models.SmallIntegerField(null=True)),
                ("state", models.SmallIntegerField()),
                ("held_reason", models.SmallIntegerField(null=True)),
                ("next_attempt_at", models.DateTimeField()),
                ("waits_since", models.DateTimeField()),
                ("attempts", models.IntegerField(db_default=0)),
                ("token", models.IntegerField(db_default=0)),
                ("leased_until", models.DateTimeField(null=True)),
                ("attempted_at", models.DateTimeField(null=True)),
                ("reply_code", models.SmallIntegerField(db_default=0)),
                ("reply_enhanced", models.TextField(db_default="")),
                ("reply_text", models.TextField(db_default="")),
                ("reply_host", models.TextField(db_default="")),
                ("report", models.SmallIntegerField(db_default=0)),
                ("report_id", models.BigIntegerField(null=True)),
                ("is_delay_told", models.BooleanField(db_default=False)),
            ],
            options={
                "db_table": "outgoing_recipient",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", 0)),
                        fields=["tenant_id", "domain", "next_attempt_at"],
                        name="outgoing_recipient_queued",
                    ),
                    models.Index(
                        condition=models.Q(("state", 1)),
                        fields=["tenant_id", "held_reason"],
                        name="outgoing_recipient_held",
                    ),
                    models.Index(
                        condition=models.Q(("report", 0), _negated=True),
                        fields=["tenant_id", "outgoing_id"],
                        name="outgoing_recipient_to_report",
                    ),
                ],
            },
        ),
    ]
