"""The words of messages, for full-text search."""

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_SQL = Path(__file__).parent / "sql" / "message_text.sql"


def _key(*names: str) -> tuple[str, models.CompositePrimaryKey]:
    return "pk", models.CompositePrimaryKey(*names, blank=True, editable=False, primary_key=True, serialize=False)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0027_type_states")]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="MessageText",
            fields=[
                _key("tenant_id", "account_id", "message_id", "part"),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField()),
                ("part", models.SmallIntegerField()),
                ("problem", models.SmallIntegerField(db_default=0)),
                ("words", models.TextField()),
            ],
            options={"db_table": "message_text"},
        ),
        migrations.CreateModel(
            name="TextState",
            fields=[
                _key("tenant_id", "account_id"),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("modseq", models.BigIntegerField()),
                ("vocabulary_id", models.BigIntegerField(db_default=0)),
                ("purged", models.BigIntegerField(db_default=0)),
            ],
            options={"db_table": "text_state"},
        ),
        migrations.CreateModel(
            name="TextVocabulary",
            fields=[
                _key("tenant_id", "account_id", "number"),
                ("tenant_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("number", models.IntegerField()),
                ("words", models.BinaryField()),
            ],
            options={"db_table": "text_vocabulary"},
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
