"""What Django cannot declare: ids, partitions, storage parameters, row-level security, grants and functions.

It stands on the roles waypost_owner, waypost_app and waypost_system, which whoever runs the cluster has made before.
"""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


def sql(name: str) -> migrations.RunSQL:
    return migrations.RunSQL((SQL / name).read_text(encoding="utf-8"), migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [("storage", "0001_tables")]

    operations = [
        sql("layout.sql"),
        sql("security.sql"),
        sql("place_v1.sql"),
        sql("change_flags_v1.sql"),
        sql("expunge_v1.sql"),
        sql("copy_v1.sql"),
    ]
