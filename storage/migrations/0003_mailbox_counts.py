"""Octets and deleted messages of a mailbox, kept by the functions that write placements.

Versions of before keep them too: they call the same functions.
"""

from pathlib import Path

from django.db import migrations, models

_SQL = Path(__file__).parent / "sql" / "mailbox_counts.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0002_layout_and_security")]

    operations = [
        migrations.AddField("mailbox", "octets", models.BigIntegerField(db_default=0)),
        migrations.AddField("mailbox", "deleted", models.IntegerField(db_default=0)),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
