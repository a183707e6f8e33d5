"""Where people's devices want to hear of changes (RFC 8620 §7.2)."""

from pathlib import Path
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "push.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0029_sending")]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="PushSubscription",
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
                ("sign_in_epoch", models.IntegerField()),
                ("app_password_id", models.BigIntegerField(null=True)),
                ("device_client_id", models.TextField()),
                ("sealed", models.BinaryField()),
                ("types", ArrayField(models.TextField(), null=True)),
                ("verification_code", models.TextField()),
                ("is_verified", models.BooleanField(db_default=False)),
                ("expires_at", models.DateTimeField()),
                ("told_epoch", models.IntegerField(db_default=0)),
                ("told_modseq", models.BigIntegerField(db_default=0)),
                ("failures", models.IntegerField(db_default=0)),
                ("not_before", models.DateTimeField()),
            ],
            options={
                "db_table": "push_subscription",
                "indexes": [models.Index(fields=["tenant_id", "account_id"], name="push_subscription_of_account")],
            },
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
