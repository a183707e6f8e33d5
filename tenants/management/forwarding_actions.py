"""`manage.py account forward`: passing a person's mail on."""

import argparse
from functools import partial

from django.core.management.base import CommandParser

from tenants import routes, selectors
from tenants.management.command import ActionCommand, Options
from tenants.management.display import shown_address
from tenants.models import Account


def add_forwarding_actions(command: ActionCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    inner = actions.add_parser("forward", help="pass a person's mail on").add_subparsers(
        dest="forward_action", required=True, metavar="ACTION"
    )
    add = inner.add_parser("add", help="pass mail on to another address, here or elsewhere")
    add.add_argument("address", metavar="ADDRESS")
    add.add_argument("target", metavar="TARGET")
    add.add_argument(
        "--copy", action=argparse.BooleanOptionalAction, help="keep a copy here (default: as it is now; at first: yes)"
    )
    add.set_defaults(run=partial(_add, command))
    remove = inner.add_parser("remove", help="pass mail on there no longer")
    remove.add_argument("address", metavar="ADDRESS")
    remove.add_argument("target", metavar="TARGET")
    remove.set_defaults(run=partial(_remove, command))
    show = inner.add_parser("list", help="show where a person's mail is passed on to")
    show.add_argument("address", metavar="ADDRESS")
    show.set_defaults(run=partial(_list, command))


def _add(command: ActionCommand, options: Options) -> None:
    _tell(
        command,
        options["address"],
        routes.add_forwarding(options["address"], options["target"], keeps_copy=options["copy"]),
    )


def _remove(command: ActionCommand, options: Options) -> None:
    _tell(command, options["address"], routes.remove_forwarding(options["address"], options["target"]))


def _list(command: ActionCommand, options: Options) -> None:
    _tell(command, options["address"], selectors.find_account(options["address"]))


def _tell(command: ActionCommand, address: str, account: Account) -> None:
    targets = ", ".join(shown_address(text) for text in selectors.forwarding_texts(account))
    if not targets:
        command.tell("Mail for {address} is not passed on.", address=address)
    elif account.keeps_copy:
        command.tell(
            "Mail for {address} is passed on to {targets}; a copy stays here.", address=address, targets=targets
        )
    else:
        command.tell(
            "Mail for {address} is passed on to {targets}; nothing stays here.", address=address, targets=targets
        )
