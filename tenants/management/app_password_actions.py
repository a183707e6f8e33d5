"""`manage.py account app-password`: passwords for single programs of a person."""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime, time
from functools import partial

from django.core.management.base import CommandParser

from tenants import app_passwords
from tenants.app_passwords import MAIL_SCOPES
from tenants.errors import ExpiryInvalid
from tenants.management.command import ActionCommand, Options
from tenants.management.table import aligned
from tenants.models import AppPassword
from tenants.types import Scope


def add_app_password_actions(command: ActionCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    inner = actions.add_parser("app-password", help="passwords for single programs of a person").add_subparsers(
        dest="app_password_action", required=True, metavar="ACTION"
    )
    add = inner.add_parser("add", help="make one; it is shown once")
    add.add_argument("address", metavar="ADDRESS")
    add.add_argument("name", metavar="NAME", help="such as the device it is for")
    add.add_argument(
        "--scope",
        action="append",
        choices=[each.value for each in MAIL_SCOPES],
        help="what it is good for; may be repeated (default: all of these)",
    )
    add.add_argument("--expires", metavar="DAY", help="the last day it is good, such as 2030-12-31 (default: never)")
    add.set_defaults(run=partial(_add, command))
    show = inner.add_parser("list", help="list a person's app passwords")
    show.add_argument("address", metavar="ADDRESS")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(run=partial(_list, command))
    revoke = inner.add_parser("revoke", help="have nobody sign in with it any more")
    revoke.add_argument("address", metavar="ADDRESS")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=partial(_revoke, command))


def _add(command: ActionCommand, options: Options) -> None:
    made = app_passwords.add_app_password(
        options["address"],
        options["name"],
        scopes=[Scope(each) for each in options["scope"] or MAIL_SCOPES],
        expires_at=_end_of(options["expires"]) if options["expires"] else None,
        now=datetime.now(UTC),
    )
    command.tell("Added app password {name} for {scopes}.", name=made.row.name, scopes=_scopes(made.row))
    command.tell("Password, shown only now: {password}", password=made.password)


def _list(command: ActionCommand, options: Options) -> None:
    rows = app_passwords.list_app_passwords(options["address"])
    if options["json"]:
        command.stdout.write(json.dumps([_as_json(row) for row in rows], ensure_ascii=False, indent=2))
    elif not rows:
        command.tell("{address} has no app passwords.", address=options["address"])
    else:
        heading = ("Name", "Good for", "Made", "Expires", "Last used", "From")
        lines = [_line(command, row) for row in rows]
        command.stdout.write(aligned([command.word(title) for title in heading], lines))


def _line(command: ActionCommand, row: AppPassword) -> Sequence[str]:
    return [
        row.name,
        _scopes(row),
        _day(row.created_at),
        _day(row.expires_at) if row.expires_at else "-",
        _day(row.last_used_at) if row.last_used_at else command.word("never"),
        row.last_used_network or "-",
    ]


def _revoke(command: ActionCommand, options: Options) -> None:
    app_passwords.revoke_app_password(options["address"], options["name"])
    command.tell("Revoked app password {name} of {address}.", name=options["name"], address=options["address"])


def _scopes(row: AppPassword) -> str:
    return ", ".join(row.scopes.split())


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def _end_of(text: str) -> datetime:
    """The last second of the day in UTC. Raises ExpiryInvalid."""
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d"), time(23, 59, 59), UTC)  # noqa: DTZ007 (a day)
    except ValueError:
        raise ExpiryInvalid(text) from None


def _as_json(row: AppPassword) -> dict[str, object]:
    return {
        "id": row.pk,
        "name": row.name,
        "scopes": row.scopes.split(),
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "last_used_at": row.last_used_at and row.last_used_at.isoformat(),
        "last_used_network": row.last_used_network or None,
    }
