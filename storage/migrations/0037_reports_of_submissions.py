"""Notifications say that a message waited because its sender asked for that (RFC 4865 §5.1.2). Records of submissions
say how many recipients the queue had when somebody last looked, so that their owners hear of each that is over."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0036_pending_words")]

    operations: ClassVar = [
        migrations.AddField(model_name="outgoing", name="future_release", field=models.TextField(null=True)),
        migrations.AddField(model_name="emailsubmission", name="open_recipients", field=models.IntegerField(null=True)),
        migrations.RunSQL(
            "GRANT SELECT (open_recipients) ON email_submission TO waypost_system", migrations.RunSQL.noop
        ),
    ]
