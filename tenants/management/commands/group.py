"""`manage.py group`: addresses that stand for many."""

import argparse
import json
from collections.abc import Sequence

from django.core.management.base import CommandParser

from tenants import routes, selectors
from tenants.management.command import ActionCommand, Options
from tenants.management.display import shown_address
from tenants.management.table import aligned
from tenants.models import Group
from tenants.types import WhoMaySend

SENDERS = [each.value for each in WhoMaySend]


class Command(ActionCommand):
    help = "Add, list and change groups: addresses that stand for many, here and elsewhere."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        add = actions.add_parser("add", help="add a group")
        add.add_argument("address", metavar="ADDRESS")
        add.add_argument("members", metavar="MEMBER", nargs="*", help="addresses here or elsewhere")
        _add_group_options(add)
        add.set_defaults(run=self.add)

        show = actions.add_parser("list", help="list groups")
        show.add_argument("tenant", metavar="TENANT", nargs="?", help="only of this company: its slug or a domain")
        show.add_argument("--json", action="store_true", help="as JSON, with all members")
        show.set_defaults(run=self.list)

        one = actions.add_parser("show", help="show one group and its members")
        one.add_argument("address", metavar="ADDRESS")
        one.set_defaults(run=self.show)

        change = actions.add_parser("set", help="change a group")
        change.add_argument("address", metavar="ADDRESS")
        _add_group_options(change)
        change.set_defaults(run=self.set)

        delete = actions.add_parser("delete", help="delete a group; its address is free then")
        delete.add_argument("address", metavar="ADDRESS")
        delete.add_argument("--yes", action="store_true", help="yes, delete it")
        delete.set_defaults(run=self.delete)

        member_actions = actions.add_parser("member", help="who is in a group").add_subparsers(
            dest="member_action", required=True, metavar="ACTION"
        )
        for name, run, text in (
            ("add", self.add_members, "add members"),
            ("remove", self.remove_members, "take members out"),
        ):
            parser = member_actions.add_parser(name, help=text)
            parser.add_argument("address", metavar="ADDRESS")
            parser.add_argument("members", metavar="MEMBER", nargs="+", help="addresses here or elsewhere")
            parser.set_defaults(run=run)

    def add(self, options: Options) -> None:
        group = routes.add_group(
            options["address"],
            name=options["name"],
            who_may_send=WhoMaySend(options["senders"] or WhoMaySend.ANYONE),
            owner=options["owner"] or "",
            members=options["members"],
        )
        self.tell("Added group {address} with {count} members.", address=_name_of(group), count=group.members.count())

    def list(self, options: Options) -> None:
        tenant = selectors.find_tenant(options["tenant"]) if options["tenant"] else None
        groups = selectors.list_groups(tenant)
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(group) for group in groups], ensure_ascii=False, indent=2))
        elif not groups:
            self.tell("No groups yet. Add one: manage.py group add team@example.com ann@example.com")
        else:
            heading = ("Address", "Name", "Who may send", "Members", "Owner")
            rows = [self._row(group) for group in groups]
            self.stdout.write(aligned([self.word(title) for title in heading], rows, right=frozenset({3})))

    def _row(self, group: Group) -> Sequence[str]:
        owner = shown_address(group.owner_address) if group.owner_address else "-"
        return [_name_of(group), group.name, self.word(group.who_may_send), str(len(group.members.all())), owner]

    def show(self, options: Options) -> None:
        group = selectors.find_group(options["address"])
        addresses = [shown_address(text) for text in selectors.address_texts(group)]
        rows = [
            (self.word("Address"), ", ".join(addresses)),
            (self.word("Name"), group.name),
            (self.word("Who may send"), self.word(group.who_may_send)),
            (self.word("Owner"), shown_address(group.owner_address) if group.owner_address else "-"),
        ]
        members = [shown_address(text) for text in selectors.member_texts(group)] or ["-"]
        rows += [(self.word("Members") if n == 0 else "", member) for n, member in enumerate(members)]
        self.stdout.write(aligned(rows[0], rows[1:]))

    def set(self, options: Options) -> None:
        owner = "" if options["owner"] == "none" else options["owner"]
        who = WhoMaySend(options["senders"]) if options["senders"] else None
        change = routes.GroupChange(name=options["name"], who_may_send=who, owner=owner)
        if change == routes.GroupChange():
            raise self.failure("Say what to change; --help lists it.")
        self.tell("Changed group {address}.", address=_name_of(routes.set_group(options["address"], change)))

    def delete(self, options: Options) -> None:
        address = _name_of(selectors.find_group(options["address"]))
        self.demand_yes(options, address)
        routes.delete_group(options["address"])
        self.tell("Deleted group {address}.", address=address)

    def add_members(self, options: Options) -> None:
        self._tell_members(routes.add_members(options["address"], options["members"]))

    def remove_members(self, options: Options) -> None:
        self._tell_members(routes.remove_members(options["address"], options["members"]))

    def _tell_members(self, group: Group) -> None:
        self.tell("Group {address} has {count} members now.", address=_name_of(group), count=group.members.count())


def _add_group_options(parser: CommandParser) -> None:
    parser.add_argument("--name", help="how the group is called (default: the part before the @)")
    parser.add_argument("--senders", choices=SENDERS, help="whose mail it takes (default: anyone's)")
    parser.add_argument("--owner", metavar="ADDRESS", help="who hears of failures at other systems; none: nobody")


def _name_of(group: Group) -> str:
    return shown_address(selectors.address_texts(group)[0])


def _as_json(group: Group) -> dict[str, object]:
    return {
        "id": group.pk,
        "tenant": group.tenant.slug,
        "addresses": selectors.address_texts(group),
        "name": group.name,
        "who_may_send": group.who_may_send,
        "owner": group.owner_address or None,
        "members": selectors.member_texts(group),
        "created_at": group.created_at.isoformat(),
    }
