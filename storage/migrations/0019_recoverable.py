"""Expunged messages wait before they are gone; who was told how full an account is."""

from pathlib import Path
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "recoverable.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0018_objects")]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField("accountstate", "binned_octets", models.BigIntegerField(db_default=0)),
        migrations.AddField("accountstate", "binned_messages", models.BigIntegerField(db_default=0)),
        migrations.CreateModel(
            name="Recoverable",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "account_id",
                        "message_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField()),
                ("mailbox_id", models.BigIntegerField()),
                ("flags", models.SmallIntegerField()),
                ("keywords", ArrayField(base_field=models.TextField(), null=True, size=None)),
                ("octets", models.BigIntegerField()),
                ("expunged_at", models.DateTimeField()),
            ],
            options={
                "db_table": "recoverable",
                "indexes": [
                    models.Index(fields=["tenant_id", "expunged_at", "message_id"], name="recoverable_by_time")
                ],
            },
        ),
        migrations.CreateModel(
            name="QuotaNotice",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "account_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("percent", models.SmallIntegerField()),
            ],
            options={"db_table": "quota_notice"},
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
