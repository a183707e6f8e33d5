"""Placing is quicker for messages that share a transaction."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "place_v2.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0016_append_put_before")]

    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
