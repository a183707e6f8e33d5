#!/usr/bin/env python
"""Administration of an installation: `python manage.py COMMAND`, as the database role that owns the tables."""

import os
import sys


def main() -> None:
    from deploy.local.command_settings import adopt_local_installation

    adopt_local_installation(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
    os.environ.setdefault("WAYPOST_DATABASE_ROLE", "owner")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
