"""The ASGI application of the web role, for granian: `webmail.asgi:application`, as the database role waypost_app."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
os.environ.setdefault("WAYPOST_DATABASE_ROLE", "app")

application = get_asgi_application()
