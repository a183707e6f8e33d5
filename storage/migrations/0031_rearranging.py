"""Messages flagged, moved, copied to further mailboxes and removed by their ids, in any mixture, at one modseq."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "rearranging.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0030_push")]

    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
