"""A restored account starts a new epoch."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "epochs.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0019_recoverable")]

    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
