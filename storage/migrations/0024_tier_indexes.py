"""Indexes for what upkeep asks of every tenant every hour: how much is hot, and which packs are small."""

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0023_large_parts")]

    operations: ClassVar[list[Operation]] = [
        migrations.RemoveIndex("blob", "blob_hot"),
        migrations.AddIndex(
            "blob",
            models.Index(
                condition=models.Q(("object_id__isnull", True)),
                fields=["tenant_id", "content_on"],
                include=["stored_octets"],
                name="blob_hot",
            ),
        ),
        migrations.AddIndex(
            "object",
            models.Index(
                condition=models.Q(("kind", 1), ("octets__lt", 2097152), ("state", 1)),
                fields=["tenant_id", "created_at"],
                name="object_small",
            ),
        ),
    ]
