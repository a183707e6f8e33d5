"""What Django cannot declare: ids, partitions, storage parameters, row-level security, grants and functions.

It stands on the roles waypost_owner, waypost_app and waypost_system, which whoever runs the cluster has made before.
"""

import os
from pathlib import Path

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from storage.cell import cell_number, first_id, last_id

SQL = Path(__file__).parent / "sql"


def sql(name: str) -> migrations.RunSQL:
    return migrations.RunSQL((SQL / name).read_text(encoding="utf-8"), migrations.RunSQL.noop)


def make_ids(_apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """The sequence of all mail ids, with this cell's number in the high bits."""
    cell = cell_number(os.environ)
    editor.execute(f"CREATE SEQUENCE mail_id AS bigint MINVALUE {first_id(cell)} MAXVALUE {last_id(cell)}")


class Migration(migrations.Migration):
    dependencies = [("storage", "0001_tables")]

    operations = [
        migrations.RunPython(make_ids, migrations.RunPython.noop),
        sql("layout.sql"),
        sql("security.sql"),
        sql("place_v1.sql"),
        sql("change_flags_v1.sql"),
        sql("expunge_v1.sql"),
        sql("copy_v1.sql"),
    ]
