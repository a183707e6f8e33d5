"""Content may rest in objects: packs of cold blobs, and large parts."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models.expressions import CombinedExpression

_SQL = Path(__file__).parent / "sql" / "objects.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0017_place_v2")]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="Object",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("id", models.BigIntegerField()),
                ("kind", models.SmallIntegerField()),
                ("state", models.SmallIntegerField(db_default=0)),
                ("octets", models.BigIntegerField(db_default=0)),
                ("sha256", models.BinaryField(null=True)),
                ("blobs", models.IntegerField(db_default=0)),
                ("live_blobs", models.IntegerField(db_default=0)),
                ("live_octets", models.BigIntegerField(db_default=0)),
                ("is_held", models.BooleanField(db_default=False)),
                ("created_at", models.DateTimeField()),
                ("doomed_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "object",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", 0)),
                        fields=["tenant_id", "created_at"],
                        name="object_being_written",
                    ),
                    models.Index(
                        condition=models.Q(("state", 2)), fields=["tenant_id", "doomed_at"], name="object_doomed"
                    ),
                    models.Index(
                        condition=models.Q(
                            ("kind", 1),
                            (
                                "live_octets__lt",
                                CombinedExpression(
                                    CombinedExpression(models.F("octets"), "/", models.Value(2)),
                                    "-",
                                    CombinedExpression(models.F("live_blobs"), "*", models.Value(50)),
                                ),
                            ),
                            ("state", 1),
                        ),
                        fields=["tenant_id", "id"],
                        name="object_half_dead",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkLease",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "work", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("work", models.TextField()),
                ("leased_until", models.DateTimeField()),
                ("token", models.BigIntegerField()),
            ],
            options={"db_table": "work_lease"},
        ),
        migrations.CreateModel(
            name="ColdRead",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "digest", "read_on", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("digest", models.BinaryField()),
                ("read_on", models.DateField()),
            ],
            options={"db_table": "cold_read"},
        ),
        migrations.CreateModel(
            name="OrphanObject",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
            ],
            options={"db_table": "orphan_object"},
        ),
        migrations.CreateModel(
            name="ClockSeen",
            fields=[
                ("id", models.IntegerField(primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
                ("wary_until", models.DateTimeField()),
            ],
            options={"db_table": "clock_seen"},
        ),
        migrations.CreateModel(
            name="IdleWeek",
            fields=[
                ("week", models.TextField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
            ],
            options={"db_table": "idle_week"},
        ),
        migrations.AddField("blob", "object_id", models.BigIntegerField(null=True)),
        migrations.AddField("blob", "object_offset", models.BigIntegerField(null=True)),
        migrations.AddField("blob", "layout", models.BinaryField(null=True)),
        migrations.AddField("blob", "stored_octets", models.BigIntegerField(db_default=0)),
        migrations.AddField("blob", "read_on", models.DateField(null=True)),
        migrations.AddIndex(
            "blob",
            models.Index(
                condition=models.Q(("object_id__isnull", True)), fields=["tenant_id", "content_on"], name="blob_hot"
            ),
        ),
        migrations.AddIndex(
            "blob",
            models.Index(
                condition=models.Q(("object_id__isnull", False)),
                fields=["tenant_id", "object_id"],
                name="blob_in_object",
            ),
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
