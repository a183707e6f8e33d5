"""Notifications say that a message waited because its sender asked for that (RFC 4865 §5.1.2). Records of submissions
say how many recipients the queue had when somebody last looked, so that owners hear of each that is over, and which
reports of it they got (RFC 8621 §7: dsnBlobIds)."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0036_pending_words")]

    operations: ClassVar = [
        migrations.AddField(model_name="outgoing", name="future_release", field=models.TextField(null=True)),
        migrations.AddField(model_name="emailsubmission", name="open_recipients", field=models.IntegerField(null=True)),
        migrations.AddField(
            model_name="emailsubmission",
            name="report_ids",
            field=ArrayField(base_field=models.BigIntegerField(), db_default=[], size=None),
        ),
        migrations.AddIndex(
            model_name="emailsubmission",
            index=models.Index(
                condition=models.Q(("outgoing_id__isnull", False)),
                fields=["tenant_id", "outgoing_id"],
                name="email_submission_of_outgoing",
            ),
        ),
        migrations.RunSQL(
            "GRANT SELECT (open_recipients) ON email_submission TO waypost_system", migrations.RunSQL.noop
        ),
    ]
