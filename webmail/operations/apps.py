"""The Django app of the commands that look at a whole installation."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "webmail.operations"
    label = "operations"
