"""What people upload and nothing uses yet."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "uploads.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0024_tier_indexes")]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="Upload",
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
                ("name", models.BinaryField()),
                ("octets", models.BigIntegerField(null=True)),
                ("uploaded_at", models.DateTimeField()),
            ],
            options={
                "db_table": "upload",
                "indexes": [models.Index(fields=["tenant_id", "account_id", "id"], name="upload_of_account")],
            },
        ),
        migrations.CreateModel(
            name="UploadContent",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "upload_id",
                        "chunk",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("upload_id", models.BigIntegerField()),
                ("chunk", models.IntegerField()),
                ("key_id", models.IntegerField()),
                ("codec", models.SmallIntegerField()),
                ("sealed", models.BinaryField()),
            ],
            options={"db_table": "upload_content"},
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
