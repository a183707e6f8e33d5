"""Leases that nobody settled are counted: a message that ends each process that tries it is found by that."""

from pathlib import Path

from django.db import migrations, models

_SQL = Path(__file__).parent / "sql" / "settle_v2.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0012_copies")]

    operations = [
        migrations.AddField("OutgoingRecipient", "unsettled_leases", models.SmallIntegerField(db_default=0)),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
