"""`manage.py tenant`: the companies of this installation."""

import argparse
import json
from collections.abc import Sequence

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import transaction
from django.utils.module_loading import import_string

from tenants import selectors, services
from tenants.addresses import display_domain
from tenants.management.command import ActionCommand, Options
from tenants.management.policy_actions import add_policy_actions
from tenants.management.table import aligned


class Command(ActionCommand):
    help = "Add, list and change tenants: the companies whose mail is here."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        add = actions.add_parser("add", help="add a company with its first domain")
        add.add_argument("domain", metavar="DOMAIN")
        add.add_argument("--slug", help="what commands call it (default: the domain)")
        add.add_argument("--name", help="the company's name (default: the domain)")
        add.add_argument("--language", dest="tenant_language", default="en", help="en or zh-hans, of its people")
        add.add_argument("--time-zone", default="UTC", help="such as Asia/Shanghai, of its people")
        add.add_argument("--cell", default="main", help="where its mail lives")
        add.set_defaults(run=self.add)

        show = actions.add_parser("list", help="list the companies")
        show.add_argument("--all", action="store_true", help="the deleted ones too")
        show.add_argument("--json", action="store_true", help="as JSON")
        show.set_defaults(run=self.list)

        change = actions.add_parser("set", help="change a company")
        change.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
        change.add_argument("--name")
        change.add_argument("--language", dest="tenant_language", help="en or zh-hans, for people added later")
        change.add_argument("--time-zone", help="such as Asia/Shanghai, for people added later")
        change.set_defaults(run=self.set)

        for name, run, text in (
            ("suspend", self.suspend, "nobody signs in, mail waits at its senders"),
            ("resume", self.resume, "undo suspend"),
            ("delete", self.delete, "serve its domains no longer; they stay reserved"),
        ):
            parser = actions.add_parser(name, help=text)
            parser.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
            parser.set_defaults(run=run)
            if name == "delete":
                parser.add_argument("--yes", action="store_true", help="yes, delete it")

        add_domain = actions.add_parser("add-domain", help="serve another domain for a company")
        add_domain.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
        add_domain.add_argument("domain", metavar="DOMAIN")
        add_domain.set_defaults(run=self.add_domain)

        release = actions.add_parser("release", help="free a domain of a deleted company")
        release.add_argument("domain", metavar="DOMAIN")
        release.set_defaults(run=self.release)

        add_policy_actions(self, actions)

    def add(self, options: Options) -> None:
        with transaction.atomic():
            tenant = services.add_tenant(
                options["domain"],
                name=options["name"],
                slug=options["slug"],
                language=options["tenant_language"],
                time_zone=options["time_zone"],
                cell=options["cell"],
            )
            self._call_hooks(tenant.pk)
        self.tell(
            "Added tenant {slug} (id {id}) with the domain {domain}.",
            slug=tenant.slug,
            id=tenant.pk,
            domain=display_domain(selectors.domain_names(tenant)[0]),
        )

    def _call_hooks(self, tenant_id: int) -> None:
        for path in settings.WAYPOST_TENANT_CREATED:
            try:
                hook = import_string(path)
            except ImportError as error:
                raise self.failure(
                    "{path}, named in WAYPOST_TENANT_CREATED, cannot be imported: {reason}", path=path, reason=error
                ) from error
            try:
                hook(tenant_id)
            except Exception as error:  # a hook lies above us: its errors have no names here; --traceback shows them
                reason = repr(error) if isinstance(error, LookupError) else str(error)
                raise self.failure(
                    "The tenant was not added, because {path} failed: {reason}", path=path, reason=reason
                ) from error

    def list(self, options: Options) -> None:
        found = selectors.list_tenants(with_deleted=options["all"])
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(summary) for summary in found], ensure_ascii=False, indent=2))
        elif not found:
            self.tell("No tenants yet. Add one: manage.py tenant add example.com")
        else:
            heading = ("Tenant", "Name", "Status", "People", "Domains", "Language", "Time zone")
            rows = [self._row(summary) for summary in found]
            self.stdout.write(aligned([self.word(title) for title in heading], rows, right=frozenset({3})))

    def _row(self, summary: selectors.TenantSummary) -> Sequence[str]:
        tenant = summary.tenant
        domains = ", ".join(display_domain(name) for name in summary.domains)
        people = str(summary.people)
        return [tenant.slug, tenant.name, self.word(tenant.status), people, domains, tenant.language, tenant.time_zone]

    def set(self, options: Options) -> None:
        change = services.TenantChange(
            name=options["name"], language=options["tenant_language"], time_zone=options["time_zone"]
        )
        if change == services.TenantChange():
            raise self.failure("Say what to change; --help lists it.")
        self.tell("Changed tenant {slug}.", slug=services.set_tenant(options["tenant"], change).slug)

    def suspend(self, options: Options) -> None:
        slug = services.suspend_tenant(options["tenant"]).slug
        self.tell("Suspended tenant {slug}. Nobody signs in, mail for it waits at its senders.", slug=slug)

    def resume(self, options: Options) -> None:
        self.tell("Tenant {slug} is active again.", slug=services.resume_tenant(options["tenant"]).slug)

    def delete(self, options: Options) -> None:
        tenant = selectors.find_tenant(options["tenant"])
        self.demand_yes(options, tenant.slug)
        services.delete_tenant(options["tenant"])
        self.tell(
            "Deleted tenant {slug}. Its domains stay reserved; free one with: manage.py tenant release DOMAIN",
            slug=tenant.slug,
        )

    def add_domain(self, options: Options) -> None:
        domain = services.add_domain(options["tenant"], options["domain"])
        self.tell(
            "Added the domain {domain} to tenant {slug}.", domain=display_domain(domain.name), slug=domain.tenant.slug
        )

    def release(self, options: Options) -> None:
        services.release_domain(options["domain"])
        self.tell("Released {name}.", name=options["domain"])


def _as_json(summary: selectors.TenantSummary) -> dict[str, object]:
    tenant = summary.tenant
    return {
        "id": tenant.pk,
        "slug": tenant.slug,
        "name": tenant.name,
        "status": tenant.status,
        "cell": tenant.cell,
        "language": tenant.language,
        "time_zone": tenant.time_zone,
        "domains": summary.domains,
        "people": summary.people,
        "created_at": tenant.created_at.isoformat(),
    }
