"""What each tier holds, over time."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "usage_history.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0021_shredding")]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="TierUsage",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "account_id",
                        "day",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("day", models.DateField()),
                ("messages", models.BigIntegerField()),
                ("octets", models.BigIntegerField()),
                ("hot_octets", models.BigIntegerField()),
                ("cold_octets", models.BigIntegerField()),
                ("part_octets", models.BigIntegerField()),
                ("dead_octets", models.BigIntegerField(db_default=0)),
                ("row_octets", models.BigIntegerField()),
            ],
            options={
                "db_table": "tier_usage",
                "indexes": [models.Index(fields=["tenant_id", "day"], name="tier_usage_by_day")],
            },
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
