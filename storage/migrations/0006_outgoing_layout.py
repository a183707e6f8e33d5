"""What Django cannot declare of the queue: partitions, row-level security, grants and functions."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql"


def _sql(name: str) -> migrations.RunSQL:
    return migrations.RunSQL((_SQL / name).read_text(encoding="utf-8"), migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [("storage", "0005_outgoing")]

    operations = [_sql("outgoing.sql"), _sql("enqueue_v1.sql"), _sql("settle_v1.sql")]
