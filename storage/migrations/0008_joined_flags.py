"""STOREs of one account in one transaction."""

from pathlib import Path

from django.db import migrations

_SQL = Path(__file__).parent / "sql" / "change_flags_v2.sql"


class Migration(migrations.Migration):
    dependencies = [("storage", "0007_search_pages")]

    operations = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
