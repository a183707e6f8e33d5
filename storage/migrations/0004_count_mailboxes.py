"""The mailboxes that were there before are counted, in a transaction of its own: all calls from now on keep count."""

from pathlib import Path

from django.db import migrations, models

_SQL = Path(__file__).parent / "sql" / "count_mailboxes.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0003_mailbox_counts")]

    operations = [
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
        migrations.AddConstraint(
            "mailbox",
            models.CheckConstraint(
                condition=models.Q(octets__gte=0, deleted__gte=0), name="mailbox_counts_of_octets_and_deleted"
            ),
        ),
    ]
