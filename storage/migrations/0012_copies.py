"""The copies of a message are found by what they are a copy of (EMAILID, RFC 8474 §6); there are few."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("storage", "0011_append")]

    operations = [
        migrations.AddIndex(
            "message",
            models.Index(
                fields=["tenant_id", "account_id", "origin_id"],
                condition=models.Q(origin_id__isnull=False),
                name="message_by_origin",
            ),
        ),
    ]
