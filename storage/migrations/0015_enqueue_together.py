"""Messages that are queued at the same time share a call and its commit."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "enqueue_v2.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0014_append_one")]

    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
