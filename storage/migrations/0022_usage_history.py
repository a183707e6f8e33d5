"""What each tier holds, over time."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0021_shredding")]

    operations: ClassVar[list[Operation]] = []
