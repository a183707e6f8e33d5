"""Mail that waits though no Email is it: handed in by SMTP, it has no record, and says itself whom it is for.

Administrators see all that waits in the queue, so the system's role reads whom records are for.
"""

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0033_threads_of_removed")]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField(model_name="heldsubmission", name="fates", field=models.TextField(null=True)),
        migrations.RunSQL("GRANT SELECT (fates) ON email_submission TO waypost_system", migrations.RunSQL.noop),
    ]
