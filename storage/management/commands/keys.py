"""`manage.py keys`: the keys that seal mail."""

import argparse
import os
from pathlib import Path

import psycopg
from django.core.management.base import CommandError, CommandParser

from storage.key_files import KeyUnusable, make_master_key, read_master_key
from storage.keys import check_tenant_keys
from tenants.management.command import ActionCommand, Options


class Command(ActionCommand):
    help = "Make the master key, and check that every tenant's keys open with it."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        init = actions.add_parser("init", help="make the master key, once; an existing one is left alone")
        init.set_defaults(run=self.init)
        check = actions.add_parser("check", help="open the keys of every tenant")
        check.set_defaults(run=self.open_all)

    def init(self, _options: Options) -> None:
        directory = _secrets_directory()
        try:
            is_made = make_master_key(directory)
        except KeyUnusable as problem:
            raise CommandError(str(problem)) from None
        if is_made:
            self.stdout.write(
                f"Made {directory / 'master.key'}. Keep a copy in a safe place: mail opens with it alone."
            )
        else:
            _reading(directory)
            self.stdout.write(f"{directory / 'master.key'} is there already.")

    def open_all(self, _options: Options) -> None:
        directory = _secrets_directory()
        _reading(directory)
        url = os.environ.get("WAYPOST_OWNER_DATABASE_URL")
        if not url:
            raise CommandError("WAYPOST_OWNER_DATABASE_URL is not set, so there is no database to check.")
        with psycopg.connect(url) as connection:
            problems = check_tenant_keys(directory, connection)
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise CommandError(f"{len(problems)} tenants have keys that do not open.")
        self.stdout.write("The keys of every tenant open.")


def _secrets_directory() -> Path:
    directory = os.environ.get("WAYPOST_SECRETS")
    if not directory:
        raise CommandError("WAYPOST_SECRETS is not set: it names the directory of the keys, such as /var/lib/waypost.")
    return Path(directory)


def _reading(directory: Path) -> None:
    try:
        read_master_key(directory)
    except KeyUnusable as problem:
        raise CommandError(str(problem)) from None
