"""`manage.py domain`: catch-alls, and domains that stand for others."""

import argparse
import json
from collections.abc import Sequence

from django.core.management.base import CommandParser

from tenants import routes, selectors
from tenants.addresses import display_domain
from tenants.management.command import ActionCommand, Options
from tenants.management.display import shown_address
from tenants.management.table import aligned
from tenants.models import Domain


class Command(ActionCommand):
    help = "List domains, set their catch-all, and have one stand for another. New ones: manage.py tenant add-domain."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        show = actions.add_parser("list", help="list domains")
        show.add_argument("tenant", metavar="TENANT", nargs="?", help="only of this company: its slug or a domain")
        show.add_argument("--json", action="store_true", help="as JSON")
        show.set_defaults(run=self.list)

        catch = actions.add_parser("catch-all", help="where mail goes for what nobody has in a domain")
        catch.add_argument("domain", metavar="DOMAIN")
        catch.add_argument("address", metavar="ADDRESS|none", help="a person or group of the same company")
        catch.set_defaults(run=self.catch_all)

        stand = actions.add_parser("stand-for", help="have a domain without addresses stand for another")
        stand.add_argument("domain", metavar="DOMAIN")
        stand.add_argument("other", metavar="OTHER|none", help="a domain of the same company")
        stand.set_defaults(run=self.stand_for)

    def list(self, options: Options) -> None:
        tenant = selectors.find_tenant(options["tenant"]) if options["tenant"] else None
        domains = selectors.list_domains(tenant)
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(domain) for domain in domains], ensure_ascii=False, indent=2))
            return
        heading = ("Domain", "On the wire", "Tenant", "Status", "Stands for", "Catch-all")
        self.stdout.write(aligned([self.word(title) for title in heading], [self._row(domain) for domain in domains]))

    def _row(self, domain: Domain) -> Sequence[str]:
        other = display_domain(domain.stands_for.name) if domain.stands_for else "-"
        caught = _catch_all(domain)
        return [
            display_domain(domain.name),
            domain.name,
            domain.tenant.slug,
            self.word(domain.status),
            other,
            shown_address(caught) if caught else "-",
        ]

    def catch_all(self, options: Options) -> None:
        address = None if options["address"] == "none" else options["address"]
        domain = routes.set_catch_all(options["domain"], address)
        shown = display_domain(domain.name)
        if address is None:
            self.tell("Mail for what nobody has in {domain} is refused.", domain=shown)
        else:
            self.tell("Mail for what nobody has in {domain} goes to {address}.", domain=shown, address=address)

    def stand_for(self, options: Options) -> None:
        other = None if options["other"] == "none" else options["other"]
        domain = routes.stand_for(options["domain"], other)
        shown = display_domain(domain.name)
        if domain.stands_for is None:
            self.tell("{domain} stands for itself.", domain=shown)
        else:
            self.tell(
                "{domain} stands for {other}: every address there is good here too.",
                domain=shown,
                other=display_domain(domain.stands_for.name),
            )


def _catch_all(domain: Domain) -> str | None:
    owner = domain.catch_all_account or domain.catch_all_group
    addresses = selectors.address_texts(owner) if owner else []
    return addresses[0] if addresses else None


def _as_json(domain: Domain) -> dict[str, object]:
    return {
        "id": domain.pk,
        "tenant": domain.tenant.slug,
        "name": domain.name,
        "display_name": display_domain(domain.name),
        "status": domain.status,
        "stands_for": domain.stands_for.name if domain.stands_for else None,
        "catch_all": _catch_all(domain),
    }
