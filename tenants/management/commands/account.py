"""`manage.py account`: the people of this installation."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from tenants import policy_changes, selectors, services, sign_in_ends
from tenants.errors import ImportRefused
from tenants.management.app_password_actions import add_app_password_actions
from tenants.management.block_actions import add_block_actions
from tenants.management.command import ActionCommand, Options
from tenants.management.display import shown_address
from tenants.management.forwarding_actions import add_forwarding_actions
from tenants.management.people_file import ColumnsWrong, NotText, read_people, write_passwords
from tenants.management.reasons import reason
from tenants.management.table import aligned
from tenants.management.wording import say
from tenants.models import Account
from tenants.passwords import generate_password
from tenants.people import ImportedPerson, PersonRow, import_people
from tenants.quota import format_octets, parse_quota


def _add_person_options(parser: CommandParser) -> None:
    parser.add_argument("--name", help="how the person is called (default: the part before the @)")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    parser.add_argument("--quota", help="such as 5GiB or none (default: none)")
    parser.add_argument("--language", dest="person_language", help="en or zh-hans (default: the company's)")
    parser.add_argument("--time-zone", help="such as Asia/Shanghai (default: the company's)")


def _name_of(account: Account) -> str:
    return next((shown_address(address) for address in selectors.address_texts(account)), f"#{account.pk}")


class Command(ActionCommand):
    help = "Add, list, import and change accounts: the people who have mail here."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        add = actions.add_parser("add", help="add a person; a password is generated unless given")
        add.add_argument("address", metavar="ADDRESS")
        _add_person_options(add)
        add.add_argument("--administrator", action="store_true", help="may administer the company")
        add.set_defaults(run=self.add)

        show = actions.add_parser("list", help="list people")
        show.add_argument("tenant", metavar="TENANT", nargs="?", help="only of this company: its slug or a domain")
        show.add_argument("--all", action="store_true", help="the deleted ones too")
        show.add_argument("--json", action="store_true", help="as JSON")
        show.set_defaults(run=self.list)

        change = actions.add_parser("set", help="change a person")
        change.add_argument("address", metavar="ADDRESS")
        _add_person_options(change)
        change.add_argument("--generate-password", action="store_true", help="a new password, shown once")
        change.add_argument(
            "--remove-second-factors",
            action="store_true",
            help="of who has lost them: authenticator app, recovery codes and passkeys",
        )
        change.add_argument("--administrator", action=argparse.BooleanOptionalAction, help="may administer the company")
        change.add_argument(
            "--app-passwords-only",
            action=argparse.BooleanOptionalAction,
            help="mail programs sign in with app passwords only",
        )
        change.set_defaults(run=self.set)

        for name, run, text in (
            ("sign-out", self.sign_out, "end everything a person has open: browsers and mail programs"),
            ("suspend", self.suspend, "no signing in, mail waits at its senders"),
            ("resume", self.resume, "undo suspend"),
            ("delete", self.delete, "refuse mail from now on; it can be restored for a while"),
            ("restore", self.restore, "undo delete, while that can be done"),
            ("release", self.release, "free an address of a deleted person"),
        ):
            parser = actions.add_parser(name, help=text)
            parser.add_argument("address", metavar="ADDRESS")
            parser.set_defaults(run=run)
            if name == "sign-out":
                parser.add_argument(
                    "--revoke-programs",
                    action="store_true",
                    help="of an account in wrong hands: revoke app passwords, tokens and connected programs too",
                )
            if name == "delete":
                parser.add_argument("--yes", action="store_true", help="yes, delete it")

        hold = actions.add_parser("hold", help="legal hold: nothing of a person's mail is deleted for good")
        hold.add_argument("address", metavar="ADDRESS")
        hold.add_argument("state", choices=["on", "off"])
        hold.add_argument("--reason", default="", help="why, such as the case's number")
        hold.set_defaults(run=self.hold)

        bring = actions.add_parser("import", help="add everybody in a CSV file: address, password, name, quota")
        bring.add_argument("path", metavar="FILE", type=Path)
        bring.add_argument("--tenant", metavar="TENANT", help="refuse domains of other companies")
        bring.add_argument("--passwords-to", metavar="FILE", type=Path, help="where generated passwords are written")
        bring.set_defaults(run=self.bring)

        alias_actions = actions.add_parser("alias", help="other addresses of a person").add_subparsers(
            dest="alias_action", required=True, metavar="ACTION"
        )
        for name, run, text in (
            ("add", self.add_alias, "give a person another address"),
            ("remove", self.remove_alias, "take it away"),
        ):
            parser = alias_actions.add_parser(name, help=text)
            parser.add_argument("address", metavar="ADDRESS")
            parser.add_argument("alias", metavar="ALIAS")
            parser.set_defaults(run=run)

        add_forwarding_actions(self, actions)
        add_app_password_actions(self, actions)
        add_block_actions(self, actions)

    def add(self, options: Options) -> None:
        password = self.password_from_stdin() if options["password_stdin"] else generate_password()
        account = services.add_account(
            options["address"],
            password=password,
            name=options["name"],
            is_administrator=options["administrator"],
            language=options["person_language"],
            time_zone=options["time_zone"],
            quota_octets=parse_quota(options["quota"]) if options["quota"] else None,
        )
        self.tell("Added account {address} (id {id}).", address=_name_of(account), id=account.pk)
        if not options["password_stdin"]:
            self.tell("Password, shown only now: {password}", password=password)

    def list(self, options: Options) -> None:
        tenant = selectors.find_tenant(options["tenant"]) if options["tenant"] else None
        accounts = selectors.list_accounts(tenant, with_deleted=options["all"])
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(account) for account in accounts], ensure_ascii=False, indent=2))
        elif not accounts:
            self.tell("No accounts yet. Add one: manage.py account add ann@example.com")
        else:
            heading = ("Address", "Name", "Status", "Quota", "Administrator", "Aliases")
            rows = [self._row(account) for account in accounts]
            self.stdout.write(aligned([self.word(title) for title in heading], rows, right=frozenset({3})))

    def _row(self, account: Account) -> Sequence[str]:
        addresses = [shown_address(text) for text in selectors.address_texts(account)] or [self.word("(released)")]
        octets = account.quota_octets
        quota = self.word("unlimited") if octets is None else format_octets(octets)
        administrator = self.word("yes" if account.is_administrator else "no")
        status = self.word(account.status)
        return [addresses[0], account.display_name, status, quota, administrator, ", ".join(addresses[1:])]

    def set(self, options: Options) -> None:
        password = generate_password() if options["generate_password"] else None
        if options["password_stdin"]:
            password = self.password_from_stdin()
        change = services.AccountChange(
            name=options["name"],
            password=password,
            is_administrator=options["administrator"],
            language=options["person_language"],
            time_zone=options["time_zone"],
            quota=services.Quota(parse_quota(options["quota"])) if options["quota"] else None,
            app_passwords_only=options["app_passwords_only"],
        )
        if change == services.AccountChange() and not options["remove_second_factors"]:
            raise self.failure("Say what to change; --help lists it.")
        with transaction.atomic():
            account = services.set_account(options["address"], change)
            if options["remove_second_factors"]:
                sign_in_ends.remove_second_factors(options["address"])
        self.tell("Changed account {address}.", address=_name_of(account))
        if password is not None or options["remove_second_factors"]:
            self.tell("{address} is signed out of everything.", address=_name_of(account))
        if options["generate_password"] and not options["password_stdin"]:
            self.tell("Password, shown only now: {password}", password=password)

    def sign_out(self, options: Options) -> None:
        if options["revoke_programs"]:
            account = sign_in_ends.revoke_programs(options["address"])
            self.tell(
                "App passwords, tokens and connected programs of {address} are revoked.", address=_name_of(account)
            )
        else:
            account = sign_in_ends.sign_out(options["address"])
        self.tell("{address} is signed out of everything.", address=_name_of(account))

    def suspend(self, options: Options) -> None:
        account = services.suspend_account(options["address"])
        self.tell("Suspended account {address}. Mail for it waits at its senders.", address=_name_of(account))

    def resume(self, options: Options) -> None:
        self.tell("Account {address} is active again.", address=_name_of(services.resume_account(options["address"])))

    def delete(self, options: Options) -> None:
        address = _name_of(selectors.find_account(options["address"]))
        if not options["yes"]:
            raise self.failure("Say --yes to delete {what}.", what=address)
        account = services.delete_account(options["address"])
        self.tell(
            "Deleted account {address}. Its addresses stay reserved; free one with: manage.py account release ADDRESS",
            address=address,
        )
        days = account.tenant.account_recovery_days
        self.tell(
            "For {days} days it can be brought back: manage.py account restore {address}", days=days, address=address
        )

    def restore(self, options: Options) -> None:
        address = _name_of(services.restore_account(options["address"]))
        self.tell("Account {address} is there again, as it was.", address=address)

    def hold(self, options: Options) -> None:
        if options["state"] == "on":
            address = _name_of(policy_changes.hold_account(options["address"], options["reason"]))
            self.tell("{name} is under legal hold: nothing of it is deleted for good.", name=address)
        else:
            address = _name_of(policy_changes.free_account(options["address"]))
            self.tell("{name} is free of legal hold.", name=address)

    def release(self, options: Options) -> None:
        services.release_address(options["address"])
        self.tell("Released {name}.", name=options["address"])

    def bring(self, options: Options) -> None:
        path = options["path"]
        rows = self._rows(path)
        if not options["passwords_to"] and any(not row.password for row in rows):
            raise self.failure(
                "{path} has rows without a password: say where the generated ones go with --passwords-to FILE",
                path=path,
            )
        tenant = selectors.find_tenant(options["tenant"]) if options["tenant"] else None
        began = time.monotonic()
        try:
            with transaction.atomic():
                people = import_people(rows, tenant=tenant)
                if options["passwords_to"]:
                    self._write_passwords(options["passwords_to"], people)
        except ImportRefused as refused:
            lines = [say(self.language, "{path}: nobody was imported.", path=path)]
            lines += [
                say(
                    self.language,
                    "line {line}, {column}: {reason}",
                    line=problem.line,
                    column=problem.column,
                    reason=reason(self.language, problem.reason),
                )
                for problem in refused.problems
            ]
            raise CommandError("\n  ".join(lines)) from None
        self.tell("Imported {count} accounts in {seconds:.1f} s.", count=len(people), seconds=time.monotonic() - began)
        if options["passwords_to"]:
            self.tell("Generated passwords are in {path}, readable by you only.", path=options["passwords_to"])

    def _rows(self, path: Path) -> Sequence[PersonRow]:
        try:
            return read_people(path)
        except OSError as error:
            raise self.failure("{path} cannot be read: {reason}", path=path, reason=error.strerror) from None
        except NotText:
            raise self.failure("{path} is not UTF-8 or GB18030 text.", path=path) from None
        except ColumnsWrong as error:
            if error.missing:
                raise self.failure(
                    "{path} needs a first line that names its columns: address, password, name, quota."
                    " Missing: {missing}",
                    path=path,
                    missing=", ".join(error.missing),
                ) from None
            raise self.failure(
                "{path} has columns nobody knows: {unknown}. Known are address, password, name, quota.",
                path=path,
                unknown=", ".join(error.unknown),
            ) from None

    def _write_passwords(self, path: Path, people: Sequence[ImportedPerson]) -> None:
        try:
            write_passwords(path, people)
        except OSError as error:
            raise self.failure("{path} cannot be written: {reason}", path=path, reason=error.strerror) from None

    def add_alias(self, options: Options) -> None:
        account = services.add_alias(options["address"], options["alias"])
        self.tell("{alias} now reaches {address}.", alias=options["alias"], address=_name_of(account))

    def remove_alias(self, options: Options) -> None:
        account = services.remove_alias(options["address"], options["alias"])
        self.tell("{alias} no longer reaches {address}.", alias=options["alias"], address=_name_of(account))


def _as_json(account: Account) -> dict[str, object]:
    return {
        "id": account.pk,
        "tenant": account.tenant.slug,
        "addresses": selectors.address_texts(account),
        "name": account.display_name,
        "status": account.status,
        "is_administrator": account.is_administrator,
        "language": account.language,
        "time_zone": account.time_zone,
        "quota_octets": account.quota_octets,
        "app_passwords_only": account.app_passwords_only,
        "forwarded_to": selectors.forwarding_texts(account),
        "keeps_copy": account.keeps_copy,
        "is_held": account.is_held,
        "created_at": account.created_at.isoformat(),
        "password_changed_at": account.password_changed_at.isoformat(),
    }
