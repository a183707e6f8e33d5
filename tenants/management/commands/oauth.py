"""`manage.py oauth`: programs that may ask people for access to their mail."""

import argparse
import json

from django.core.management.base import CommandParser

from tenants.management.command import ActionCommand, Options
from tenants.management.table import aligned
from tenants.oauth_clients import add_client, list_clients, remove_client


class Command(ActionCommand):
    help = "Programs that may ask people for access to their mail by OAuth 2: make them known, list, forget them."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        add = actions.add_parser("add", help="make a program known; it is told its client id")
        add.add_argument("name", metavar="NAME", help="what people are asked about")
        add.add_argument(
            "redirect_uris", metavar="URI", nargs="+", help="where answers go: https, http on this machine, or its own"
        )
        add.set_defaults(run=self.add)
        show = actions.add_parser("list", help="list them")
        show.add_argument("--json", action="store_true", help="as JSON")
        show.set_defaults(run=self.list)
        remove = actions.add_parser("remove", help="forget a program; nobody's leave holds any more")
        remove.add_argument("name", metavar="NAME", help="its name or client id")
        remove.add_argument("--yes", action="store_true", help="yes, remove it")
        remove.set_defaults(run=self.remove)

    def add(self, options: Options) -> None:
        client = add_client(options["name"], options["redirect_uris"])
        self.tell("{name} may ask people for access. Its client id: {client_id}", name=client.name, client_id=client.pk)

    def list(self, options: Options) -> None:
        clients = list_clients()
        if options["json"]:
            told = [{"client_id": each.pk, "name": each.name, "redirect_uris": each.redirect_uris} for each in clients]
            self.stdout.write(json.dumps(told, ensure_ascii=False, indent=2))
        elif clients:
            heading = [self.word(title) for title in ("Name", "Client id", "Answers go to")]
            self.stdout.write(
                aligned(heading, [[each.name, each.pk, " ".join(each.redirect_uris)] for each in clients])
            )
        else:
            self.tell("No programs yet. Add one: manage.py oauth add NAME https://…")

    def remove(self, options: Options) -> None:
        self.demand_yes(options, options["name"])
        remove_client(options["name"])
        self.tell("{name} is forgotten, and its tokens are worth nothing.", name=options["name"])
