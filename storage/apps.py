"""The Django app that declares the mail tables; it holds no behaviour."""

from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "storage"
    label = "storage"
    default_auto_field = "django.db.models.BigAutoField"
