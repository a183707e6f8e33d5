"""Expunged messages wait before they are gone."""

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("storage", "0018_objects")]

    operations: ClassVar[list[Operation]] = []
