"""Keys can be retired, what they sealed can be sealed anew, and a tenant can be shredded."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "shredding.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0020_epochs")]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField("datakey", "retired_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="ResealOrder",
            fields=[
                ("tenant_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("asked_at", models.DateTimeField()),
            ],
            options={"db_table": "reseal_order"},
        ),
        migrations.CreateModel(
            name="Shredding",
            fields=[
                ("tenant", models.BigIntegerField(primary_key=True, serialize=False)),
                ("slug", models.TextField()),
                ("administrator", models.TextField()),
                ("begun_at", models.DateTimeField()),
                ("found", models.JSONField()),
                ("key_destroyed_at", models.DateTimeField(null=True)),
                ("objects_deleted_at", models.DateTimeField(null=True)),
                ("deleted", models.JSONField(db_default={})),
                ("certificate", models.TextField(null=True)),
            ],
            options={"db_table": "shredding"},
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
