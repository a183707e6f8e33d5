"""The log of changes can be cut."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "cut_changes_v1.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0009_read_messages")]

    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
