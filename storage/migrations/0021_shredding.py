"""A tenant can be shredded."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0020_epochs")]

    operations: ClassVar[list[Operation]] = []
