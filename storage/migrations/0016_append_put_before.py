"""APPENDs of several accounts in one transaction."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "append_put_before.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0015_enqueue_together")]

    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
