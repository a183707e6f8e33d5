"""`manage.py account blocks` and `unblock`: who failed to sign in too often, and letting them try again."""

import argparse
from collections.abc import Sequence
from functools import partial

from django.core.management.base import CommandParser

from tenants import selectors
from tenants.management.command import ActionCommand, Options
from tenants.management.table import aligned
from tenants.sign_in_blocks import sign_in_blocks
from tenants.types import Block


def add_block_actions(command: ActionCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    show = actions.add_parser("blocks", help="show failed sign-ins, and whether more are refused for now")
    lift = actions.add_parser("unblock", help="forget failed sign-ins, so that none is refused for them")
    for parser, run in ((show, _show), (lift, _lift)):
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("address", metavar="ADDRESS", nargs="?", help="of a person")
        what.add_argument("--network", metavar="IP", help="of all people at this IP address, and of those around it")
        parser.set_defaults(run=partial(run, command))


def _show(command: ActionCommand, options: Options) -> None:
    blocks = _blocks(options)
    if not blocks:
        command.tell("Nobody failed to sign in lately: {what}.", what=options["address"] or options["network"])
        return
    heading = ("From", "Failed sign-ins", "Refused")
    lines = [_line(command, block) for block in blocks]
    command.stdout.write(aligned([command.word(title) for title in heading], lines, right=frozenset({1})))


def _lift(command: ActionCommand, options: Options) -> None:
    if options["network"]:
        sign_in_blocks().lift_network(options["network"])
    else:
        sign_in_blocks().lift_account(selectors.find_account(options["address"]).pk)
    command.tell("Failed sign-ins are forgotten: {what}.", what=options["address"] or options["network"])


def _blocks(options: Options) -> Sequence[Block]:
    if options["network"]:
        return sign_in_blocks().of_network(options["network"])
    return sign_in_blocks().of_account(selectors.find_account(options["address"]).pk)


def _line(command: ActionCommand, block: Block) -> Sequence[str]:
    network = block.network or command.word("all networks never used before")
    seconds = round(block.refused_for_s)
    refused = command.phrase("for {seconds} s more", seconds=seconds) if seconds else command.word("no")
    return [network, str(block.failures), refused]
