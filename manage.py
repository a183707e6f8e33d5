#!/usr/bin/env python
"""Administration of an installation: `python manage.py COMMAND`, as the database role that owns the tables."""

import os
import sys


def main() -> None:
    from deploy.local.command_settings import adopt_local_installation
    from mailserver.settings import ConfigurationInvalid
    from mailserver.variables import read_variables

    adopt_local_installation(os.environ)
    try:
        settings = read_variables(os.environ)
    except ConfigurationInvalid as invalid:
        sys.exit("\n".join(str(problem) for problem in invalid.problems))
    for name in settings.from_file:
        os.environ.setdefault(name, settings.values[name])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
    os.environ.setdefault("WAYPOST_DATABASE_ROLE", "owner")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
