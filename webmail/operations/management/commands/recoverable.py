"""`manage.py recoverable`: messages that a person expunged, which can be brought back for a while."""

import argparse
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from django.core.management.base import CommandParser

from mailserver.redis_client import connect_redis
from mailserver.services.recovering import Choice, Recovered, list_recoverable, recover
from mailserver.services.returns import zone_named
from storage.database import Database
from storage.errors import MailboxNameInvalid, OverQuota, TooManyMailboxes
from storage.keys import KeyRing
from storage.management.store_command import StoreCommand
from storage.recoverable import Recoverable
from storage.store import MailStore
from tenants import selectors
from tenants.management.command import Options
from tenants.management.table import aligned
from tenants.models import Account
from tenants.quota import format_octets
from webmail.operations.mail_access import mail_store, principal_of
from webmail.operations.recoverable_wording import CHINESE

Result = TypeVar("Result")


_END = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Sum:
    messages: int = 0
    octets: int = 0
    oldest: datetime = _END


class Command(StoreCommand):
    help = "Show and bring back what a person expunged."
    chinese = CHINESE

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        show = actions.add_parser("list", help="how much can be brought back, by mailbox")
        show.add_argument("--messages", action="store_true", help="every message")
        show.set_defaults(run=self.list)
        bring = actions.add_parser(
            "restore", help="bring messages back: the same ones, at new uids, flags as they were"
        )
        bring.add_argument("--into", metavar="NAME", help="put them into this mailbox (default: where they were)")
        bring.set_defaults(run=self.restore)
        for parser in (show, bring):
            parser.add_argument("address", metavar="ADDRESS")
            parser.add_argument("--mailbox", metavar="NAME", help="only what was expunged there")
            parser.add_argument(
                "--since", metavar="TIME", help="only what was expunged since, such as 2030-12-31 or 2030-12-31T18:00"
            )

    def list(self, options: Options) -> None:
        account = selectors.find_account(options["address"])
        who = principal_of(account, options["address"])
        choice = self._choice(options, account)

        async def work(store: MailStore) -> Sequence[Recoverable]:
            return [each async for page in list_recoverable(store, who, choice) for each in page]

        found = self._with_mail(work)
        if not found:
            self.tell("There is nothing that can be brought back.")
        elif options["messages"]:
            self._tell_messages(found, account)
        else:
            self._tell_mailboxes(found, account)

    def restore(self, options: Options) -> None:
        account = selectors.find_living_account(options["address"])
        who = principal_of(account, options["address"])
        choice = self._choice(options, account)

        async def work(store: MailStore) -> Recovered:
            try:
                return await recover(store, who, choice, into=options["into"])
            except OverQuota as full:
                raise self.failure(
                    "There is no room for more: {used} of {limit} are used. What was brought back before stays; raise"
                    " the quota and run this again.",
                    used=format_octets(full.used_octets),
                    limit=format_octets(full.limit_octets),
                ) from None
            except (MailboxNameInvalid, TooManyMailboxes) as refused:
                raise self.failure("No mailbox can be made there: {reason}", reason=refused) from None

        recovered = self._with_mail(work)
        for name, count in sorted(recovered.messages.items()):
            self.tell("{mailbox}: {count} messages brought back", mailbox=name, count=count)
        if not recovered.messages:
            self.tell("There is nothing that can be brought back.")

    def _tell_mailboxes(self, found: Sequence[Recoverable], account: Account) -> None:
        sums: dict[str, _Sum] = {}
        for each in found:
            so_far = sums.setdefault(each.mailbox or "", _Sum())
            so_far.messages += 1
            so_far.octets += each.octets
            so_far.oldest = min(so_far.oldest, each.expunged_at)
        rows = [
            [name, str(each.messages), format_octets(each.octets), _shown(each.oldest, account)]
            for name, each in sorted(sums.items())
        ]
        heading = [self.word(title) for title in ("Mailbox", "Messages", "Octets", "First expunged")]
        self.stdout.write(aligned(heading, rows, right=frozenset({1, 2})))

    def _tell_messages(self, found: Sequence[Recoverable], account: Account) -> None:
        rows = [
            [_shown(each.expunged_at, account), each.mailbox or "", each.sender[:40], each.subject[:60]]
            for each in sorted(found, key=lambda each: each.expunged_at)
        ]
        heading = [self.word(title) for title in ("Expunged", "Mailbox", "From", "Subject")]
        self.stdout.write(aligned(heading, rows))

    def _choice(self, options: Options, account: Account) -> Choice:
        since = None
        if options["since"]:
            try:
                since = datetime.fromisoformat(options["since"])
            except ValueError:
                raise self.failure(
                    "{time} is not a time. Write it like 2030-12-31 or 2030-12-31T18:00.", time=options["since"]
                ) from None
            if since.tzinfo is None:
                since = since.replace(tzinfo=zone_named(account.time_zone))
        return Choice(options["mailbox"], since)

    def _with_mail(self, work: Callable[[MailStore], Awaitable[Result]]) -> Result:
        """Content is not read, so there is no object store; clients that look are told."""
        secrets = Path(self.needed("WAYPOST_SECRETS"))
        redis_url = os.environ.get("WAYPOST_REDIS_URL", "")
        try:
            redis = connect_redis(redis_url) if redis_url else None
        except ValueError:
            raise self.failure("WAYPOST_REDIS_URL is no URL of Redis.") from None

        async def run(database: Database) -> Result:
            async with mail_store(database, KeyRing(secrets, database), None, redis) as store:
                return await work(store)

        return self.with_database(run)


def _shown(moment: datetime, account: Account) -> str:
    return moment.astimezone(zone_named(account.time_zone)).strftime("%Y-%m-%d %H:%M")
