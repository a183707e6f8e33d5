"""What came since a message was indexed last: an index over all mail, made while mail comes in.

Not with the tables it is for (0028): there all deliveries would wait until it is made.
"""

from typing import ClassVar

from django.db import migrations

_DROP_UNFINISHED = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass('message_by_modseq') AND NOT i.indisvalid) THEN
        DROP INDEX message_by_modseq;
    END IF;
END $$
"""
_CREATE = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS message_by_modseq ON message (tenant_id, account_id, created_modseq)
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("storage", "0031_rearranging")]

    operations: ClassVar = [migrations.RunSQL([_DROP_UNFINISHED, _CREATE], migrations.RunSQL.noop)]
