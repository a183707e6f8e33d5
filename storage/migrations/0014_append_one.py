"""APPEND of one message is quicker."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "append_one.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0013_unsettled_leases")]

    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
