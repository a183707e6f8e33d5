"""APPEND of any number of messages in one call, and the removal of one message for REPLACE."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "append_v1.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0010_cut_changes")]

    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
