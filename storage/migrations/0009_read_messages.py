"""Messages with their octets in one statement; chunks without a look at every partition; what a copy is a copy of."""

from pathlib import Path

from django.db import migrations, models

_SQL = Path(__file__).parent / "sql"


def _sql(name: str) -> migrations.RunSQL:
    return migrations.RunSQL((_SQL / name).read_text(encoding="utf-8"), migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [("storage", "0008_joined_flags")]

    operations = [
        migrations.AddField("message", "origin_id", models.BigIntegerField(null=True)),
        _sql("copy_origin.sql"),
        _sql("read_messages_v1.sql"),
    ]
