"""The Django app of the server-rendered public pages."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "webmail.pages"
    label = "pages"
