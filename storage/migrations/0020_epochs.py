"""A restored account starts a new epoch."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0019_recoverable")]

    operations: ClassVar[list[Operation]] = []
