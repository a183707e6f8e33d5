"""Large parts go to objects at delivery."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0022_usage_history")]

    operations: ClassVar[list[Operation]] = []
