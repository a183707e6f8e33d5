"""Pages of packed immutable facts, for search, SORT and THREAD."""

from pathlib import Path

from django.db import migrations, models

_SQL = Path(__file__).parent / "sql" / "search_pages.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0006_outgoing_layout")]

    operations = [
        migrations.CreateModel(
            name="SearchPage",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "mailbox_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.BigIntegerField()),
                ("mailbox_id", models.BigIntegerField()),
                ("number", models.IntegerField()),
                ("account_id", models.BigIntegerField()),
                ("format", models.SmallIntegerField()),
                ("stamp", models.BigIntegerField()),
                ("facts", models.BinaryField()),
                ("subjects", models.BinaryField(null=True)),
                ("addresses", models.BinaryField(null=True)),
                ("sorting", models.BinaryField(null=True)),
                ("threading", models.BinaryField(null=True)),
            ],
            options={"db_table": "search_page"},
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
