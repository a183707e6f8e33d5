"""What removes messages logs their threads by itself: a trigger did that, and made each removal half as dear again.

Three steps, each of its own, so that no removal goes unnamed while mail flows: the functions first, under their old
names, so that processes of the version before call them too; then whoever may still be inside an old one ends, for each
of them locks account_state before all else; then the trigger goes.
"""

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).parent / "sql"
_FUNCTIONS = ("expunged", "moved", "rearranged", "renumbered")
_WAIT_FOR_OLD_CALLS = "DO $$ BEGIN LOCK TABLE account_state IN EXCLUSIVE MODE; END $$"
_DROP = """
DROP TRIGGER IF EXISTS note_thread ON change;
DROP FUNCTION IF EXISTS note_thread_v1();
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("storage", "0032_message_by_modseq")]

    operations: ClassVar = [
        *(
            migrations.RunSQL((_SQL / f"threads_of_{each}.sql").read_text(encoding="utf-8"), migrations.RunSQL.noop)
            for each in _FUNCTIONS
        ),
        migrations.RunSQL(_WAIT_FOR_OLD_CALLS, migrations.RunSQL.noop),
        migrations.RunSQL(_DROP, migrations.RunSQL.noop),
    ]
