"""What JMAP states stand on: types the log of mail does not know, the thread of what is removed; order of mailboxes."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "type_states.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0026_uploads")]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField("change", "thread_id", models.BigIntegerField(null=True)),
        migrations.AddField("mailbox", "sort_order", models.IntegerField(null=True)),
        migrations.CreateModel(
            name="TypeState",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "account_id",
                        "type_name",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("type_name", models.TextField()),
                ("modseq", models.BigIntegerField()),
            ],
            options={"db_table": "type_state"},
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
