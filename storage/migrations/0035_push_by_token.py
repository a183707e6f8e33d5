"""Push subscriptions know which token, or which leave of a program, they were made with.

Those that a token made before say only that one did (`app_password_id` -1): they end, and devices subscribe anew.
"""

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0034_held_without_record")]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField(model_name="pushsubscription", name="token_id", field=models.BigIntegerField(null=True)),
        migrations.AddField(model_name="pushsubscription", name="grant_id", field=models.BigIntegerField(null=True)),
    ]
