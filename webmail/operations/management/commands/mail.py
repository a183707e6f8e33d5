"""`manage.py mail`: a person's mail written to files, and mail from files taken in."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mailserver.redis_client import connect_redis
from mailserver.services.export_files import ExportElsewhere
from mailserver.services.exporting import ExportedMailbox, ExportRefused, ExportRunning, MailFormat, export_mail
from mailserver.services.import_sources import Complaint, NothingThere, SourceMailbox, find_mailboxes
from mailserver.services.importing import ImportedMailbox, import_mailbox
from mailserver.services.spool import SpoolUnavailable
from storage.database import Database
from storage.errors import (
    KeyUnusable,
    MailboxNameInvalid,
    MailboxNotFound,
    MailboxNotSelectable,
    StorageError,
    TooManyMailboxes,
)
from storage.keys import KeyRing
from storage.management.store_command import StoreCommand
from storage.store import MailStore
from tenants import selectors
from tenants.management.command import Options
from tenants.quota import format_octets
from tenants.types import Principal
from webmail.operations.mail_access import mail_store, principal_of
from webmail.operations.mail_wording import CHINESE

Result = TypeVar("Result")
FORMATS = [form.value for form in MailFormat]


class Command(StoreCommand):
    help = "Write a person's mail to files (mbox, Maildir, eml), and take mail in from files; both can be repeated."
    chinese = CHINESE

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        export = actions.add_parser(
            "export", help="write mail with flags and dates to a directory; goes on if repeated"
        )
        export.add_argument("address", metavar="ADDRESS")
        export.add_argument("directory", metavar="DIR", type=Path)
        export.add_argument("--format", choices=FORMATS, default="eml", help="default: eml, which keeps everything")
        export.add_argument("--mailbox", metavar="NAME", help="only this one")
        export.set_defaults(run=self.export)

        bring = actions.add_parser("import", help="take in mail that is not there yet; goes on if repeated")
        bring.add_argument("address", metavar="ADDRESS")
        bring.add_argument("path", metavar="PATH", type=Path)
        bring.add_argument("--format", choices=FORMATS, help="default: by what is there")
        bring.add_argument("--into", metavar="NAME", help="put it into this mailbox, several of them below it")
        bring.set_defaults(run=self.bring)

    # -- to files

    def export(self, options: Options) -> None:
        who = principal_of(selectors.find_account(options["address"]), options["address"])
        form = MailFormat(options["format"])

        async def work(store: MailStore) -> list[ExportedMailbox]:
            done = []
            with _bar() as advance:
                async for each in export_mail(
                    store, who, options["directory"], form, only=options["mailbox"], progress=advance
                ):
                    self._tell_of_export(each)
                    done.append(each)
            return done

        try:
            done = self._with_mail(work)
        except ExportRunning as running:
            raise self.failure("{path} is being written to by another export.", path=running.path) from None
        except ExportRefused as refused:
            raise self.failure("{path} " + refused.reason + ". Choose another directory.", path=refused.path) from None
        except ExportElsewhere as elsewhere:
            raise self.failure(
                "{path} was not written by an export of this mailbox, or was altered since. Choose another directory.",
                path=elsewhere.path,
            ) from None
        self.tell(
            "Exported {written} messages, {present} were there.",
            written=sum(each.written for each in done), present=sum(each.present for each in done),
        )  # fmt: skip
        if any(each.place is None or each.damaged or each.keywords_left_out for each in done):
            raise self.failure("Not everything could be exported; see above.")

    def _tell_of_export(self, each: ExportedMailbox) -> None:
        if each.place is None:
            self.tell("{mailbox}: its name is too long for a Maildir; use --format eml or mbox", mailbox=each.name)
            return
        self.tell(
            "{mailbox}: {written} written to {place}, {present} were there",
            mailbox=each.name, written=each.written, place=each.place or ".", present=each.present,
        )  # fmt: skip
        if each.keywords_left_out:
            self.tell(
                "{mailbox}: {count} messages have keywords that a Maildir cannot say (it has letters for 26);"
                " --format eml can",
                mailbox=each.name,
                count=each.keywords_left_out,
            )
        for uid in each.damaged:
            self.tell(
                "{mailbox}: message {uid} is damaged and was left out; see manage.py verify", mailbox=each.name, uid=uid
            )

    # -- from files

    def bring(self, options: Options) -> None:
        who = principal_of(selectors.find_living_account(options["address"]), options["address"])
        form = MailFormat(options["format"]) if options["format"] else None
        try:
            sources = find_mailboxes(options["path"], form)
        except NothingThere as nothing:
            raise self.failure(
                "{path} holds no mail that can be told: an mbox, a Maildir, or .eml files. Say --format if it is one.",
                path=nothing.path,
            ) from None

        async def work(store: MailStore) -> list[ImportedMailbox]:
            done: list[ImportedMailbox] = []
            with _bar() as advance:
                for source in sources:
                    each = await self._bring_one(store, who, source, _target(options["into"], source, sources), advance)
                    self._tell_of_import(each)
                    done.append(each)
                    if each.over_quota is not None:
                        break
            return done

        done = self._with_mail(work)
        self.tell(
            "Imported {added} messages, {present} were there.",
            added=sum(each.added for each in done), present=sum(each.present for each in done),
        )  # fmt: skip
        if any(each.complaints or each.over_quota for each in done):
            raise self.failure("Not everything could be imported; see above.")

    async def _bring_one(
        self,
        store: MailStore,
        who: Principal,
        source: SourceMailbox | Complaint,
        name: str,
        advance: Callable[[str, int, int], None],
    ) -> ImportedMailbox:
        if isinstance(source, Complaint):
            return ImportedMailbox(name, complaints=[source])
        try:
            return await import_mailbox(
                store, who, name, source.letters(), progress=lambda messages: advance(name, messages, 0)
            )
        except (MailboxNameInvalid, TooManyMailboxes) as refused:
            self.tell("{mailbox}: no mailbox can be called so: {reason}", mailbox=name, reason=refused)
            return ImportedMailbox(name, complaints=[Complaint(name, str(refused))])

    def _tell_of_import(self, each: ImportedMailbox) -> None:
        self.tell(
            "{mailbox}: {added} added, {present} were there",
            mailbox=each.name, added=each.added, present=each.present,
        )  # fmt: skip
        for complaint in each.complaints:
            self.tell("{place}: passed over, {reason}", place=complaint.place, reason=self.word_of(complaint.reason))
        if each.over_quota is not None:
            self.tell(
                "{mailbox}: there is no room for more: {used} of {limit} are used. Raise the quota (manage.py account"
                " set) and run this again: it goes on here.",
                mailbox=each.name,
                used=format_octets(each.over_quota.used_octets),
                limit=format_octets(each.over_quota.limit_octets),
            )

    def word_of(self, reason: str) -> str:
        """Reasons of the operating system stay as they are; they may hold braces."""
        return self.word(reason) if reason in CHINESE else reason

    # -- the store

    def _with_mail(self, work: Callable[[MailStore], Awaitable[Result]]) -> Result:
        secrets = Path(self.needed("WAYPOST_SECRETS"))
        objects = self._objects_config() if os.environ.get("WAYPOST_S3_URL") else None
        redis_url = os.environ.get("WAYPOST_REDIS_URL", "")
        try:
            redis = connect_redis(redis_url) if redis_url else None
        except ValueError:
            raise self.failure("WAYPOST_REDIS_URL is no URL of Redis.") from None

        async def run(database: Database) -> Result:
            try:
                async with mail_store(database, KeyRing(secrets, database), objects, redis) as store:
                    return await work(store)
            except (MailboxNotFound, MailboxNotSelectable) as missing:
                raise self.failure("There is no mailbox {name}.", name=missing.name) from None
            except KeyUnusable:  # `with_database` says so
                raise
            except (StorageError, SpoolUnavailable, OSError) as reason:
                raise self._interrupted(reason) from None

        return self.with_database(run)

    def _interrupted(self, reason: Exception) -> CommandError:
        return self.failure("Interrupted: {reason}. Run the same again: it goes on where it was.", reason=reason)


def _target(into: str | None, source: SourceMailbox | Complaint, sources: list[SourceMailbox | Complaint]) -> str:
    name = source.place if isinstance(source, Complaint) else source.name
    if into is None:
        return name
    return into if len(sources) == 1 else f"{into}/{name}"


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Called with a mailbox, how much is done, and of how much (0: nobody knows). Nothing is drawn without a
    terminal."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda _mailbox, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        shown = ""

        def advance(mailbox: str, done: int, total: int) -> None:
            nonlocal shown
            if mailbox != shown:
                shown = mailbox
                progress.reset(task, description=mailbox)
            progress.update(task, completed=done, total=total or None)

        yield advance
