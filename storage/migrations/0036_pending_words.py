"""More new words wait before they are put in their places, for many then share a page of a large index."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0035_push_by_token")]

    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER INDEX message_text_words SET (gin_pending_list_limit = 4096)",
            "ALTER INDEX message_text_words SET (gin_pending_list_limit = 1024)",
        )
    ]
