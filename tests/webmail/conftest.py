"""Django with the project's settings and no database."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
django.setup()
