"""Notifications say that a message waited because its sender asked for that (RFC 4865 §5.1.2)."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0036_pending_words")]

    operations: ClassVar = [
        migrations.AddField(model_name="outgoing", name="future_release", field=models.TextField(null=True)),
    ]
