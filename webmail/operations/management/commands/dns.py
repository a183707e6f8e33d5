"""`manage.py dns`: what the DNS of a mail domain has to say."""

import argparse
import json
import os
from itertools import groupby

from django.core.management.base import CommandParser

from tenants.addresses import display_domain
from tenants.management.command import ActionCommand, Options
from tenants.selectors import find_domain
from webmail.operations.dns_records import Record, records
from webmail.operations.dns_wording import CHINESE, WHY
from webmail.pages.doors import LOOPBACK, doors, web_door


class Command(ActionCommand):
    help = "Print the DNS records that a mail domain needs: MX, SPF, DMARC, and where programs find their settings."
    chinese = CHINESE

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        show = actions.add_parser("show", help="print them in the form of a zone file")
        show.add_argument("domain", metavar="DOMAIN", help="a domain of this installation")
        show.add_argument("--json", action="store_true", help="as JSON")
        show.set_defaults(run=self.show)

    def show(self, options: Options) -> None:
        domain = find_domain(options["domain"]).name
        hostname = os.environ.get("WAYPOST_HOSTNAME", "")
        if not hostname:
            raise self.failure("WAYPOST_HOSTNAME is not set, so there is no server to point to.")
        relay = os.environ.get("WAYPOST_SMARTHOST", "").rpartition(":")[0] or None
        open_doors = doors(os.environ)
        if not open_doors:
            raise self.failure("No door for mail programs is known here. Say in WAYPOST_PUBLIC_DOORS where they are.")
        wanted = records(domain, hostname, open_doors, web_door(os.environ), relay=relay)
        if options["json"]:
            told = [{"name": each.name, "type": each.type, "value": each.value, "why": each.why} for each in wanted]
            self.stdout.write(json.dumps(told, ensure_ascii=False, indent=2))
            return
        self.tell("The DNS of {domain} should say:", domain=display_domain(domain))
        for why, alike in groupby(wanted, key=lambda each: each.why):
            self._tell_group(self.word(WHY[why]), list(alike))
        self.stdout.write("")
        self.tell(
            "{host} itself needs A and AAAA records, and its addresses a PTR record that names it.", host=hostname
        )
        if any(door.host in LOOPBACK for door in open_doors):
            self.tell(
                "Some doors listen on this machine only. What people reach from outside stands in WAYPOST_PUBLIC_DOORS."
            )

    def _tell_group(self, why: str, alike: list[Record]) -> None:
        self.stdout.write(f"\n; {why}")
        for record in alike:
            self.stdout.write(record.line())
