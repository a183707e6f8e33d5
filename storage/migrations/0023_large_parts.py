"""Large parts go to objects at delivery, and wait in Postgres while S3 is away."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "large_parts.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0022_usage_history")]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField("blob", "is_waiting", models.BooleanField(db_default=False)),
        migrations.AddIndex(
            "blob",
            models.Index(
                condition=models.Q(("is_waiting", True), ("object_id__isnull", True)),
                fields=["tenant_id", "digest"],
                name="blob_waiting",
            ),
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
