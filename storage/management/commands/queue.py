"""`manage.py queue`: mail on its way to other systems."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from django.core.management.base import CommandParser

from storage import held_acts, outgoing_acts, outgoing_lists, smarthosts
from storage.management.queue_choice import add_choice, chosen, is_chosen, may_be_rule
from storage.management.queue_wording import CHINESE
from storage.management.store_command import StoreCommand
from storage.outgoing_acts import Chosen, HoldRule
from storage.outgoing_lists import ListedEvent, ListedRecipient
from storage.outgoing_types import EventKind, HeldReason, OutgoingId, QueueState
from storage.smarthosts import SmarthostSetting
from tenants import selectors
from tenants.addresses import display_domain
from tenants.management.command import Options
from tenants.management.table import aligned
from tenants.models import Tenant
from tenants.types import TenantId

SECURITIES = ("required", "implicit", "opportunistic", "none")
REPLY_COLUMNS = 60
STATES = {
    (QueueState.QUEUED, None): "queued",
    (QueueState.QUEUED, HeldReason.SCHEDULED): "scheduled",
    (QueueState.HELD, HeldReason.OUTBOUND_OFF): "held, outbound is off",
    (QueueState.HELD, HeldReason.ADMINISTRATOR): "held by administrator",
    (QueueState.HELD, HeldReason.SUSPENDED): "held, tenant suspended",
    (QueueState.HELD, HeldReason.ENDS_PROCESSES): "held, attempts had no result",
    (QueueState.ENDED, None): "ended, report due",
}


class Command(StoreCommand):
    help = "Mail on its way to other systems: list it, show it, retry, hold, release, bounce, remove it."
    chinese = CHINESE

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        listing = actions.add_parser("list", help="what waits, one line for each recipient")
        add_choice(listing)
        listing.add_argument("--limit", type=int, default=50, help="recipients shown (default: 50)")
        listing.add_argument("--json", action="store_true", help="as JSON")
        listing.set_defaults(run=self.list)

        show = actions.add_parser("show", help="one message with all that happened to it")
        show.add_argument("message", type=int, metavar="ID")
        show.add_argument("--tenant", metavar="TENANT", help="whose it was, if it has left the queue")
        show.set_defaults(run=self.show)

        for name, run, text in (
            ("retry", self.retry, "try it now"),
            ("hold", self.hold, "keep it back; of a tenant, account or tenant and domain also what comes"),
            ("release", self.release, "undo hold; also of what was held while outbound was off"),
            ("bounce", self.bounce, "give it back to its senders"),
            ("remove", self.remove, "drop it and tell nobody"),
        ):
            parser = actions.add_parser(name, help=text)
            add_choice(parser)
            parser.add_argument("--all", action="store_true", help="all mail in the queue")
            if name == "bounce":
                parser.add_argument("--reason", default="Returned by the administrator", help="what the sender reads")
            if name == "remove":
                parser.add_argument("--yes", action="store_true", help="yes, remove it")
            parser.set_defaults(run=run)

        relay = actions.add_parser("smarthost", help="the host through which a company's mail leaves")
        relay.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
        relay.add_argument("--host", metavar="HOST:PORT", help="set it; --user reads the password from standard input")
        relay.add_argument("--security", choices=SECURITIES, default="required", help="TLS to that host")
        relay.add_argument("--user", help="sign in there as")
        relay.add_argument("--remove", action="store_true", help="its mail leaves as the installation's does")
        relay.set_defaults(run=self.smarthost)

    # -- looking

    def list(self, options: Options) -> None:
        what = chosen(options)
        rows = self.with_database(lambda database: outgoing_lists.list_recipients(database, what, options["limit"]))
        if options["json"]:
            self.stdout.write(json.dumps([asdict(row) for row in rows], default=str, ensure_ascii=False, indent=1))
            return
        if not rows:
            self.tell("Nothing in the queue is like that." if is_chosen(options) else "Nothing is in the queue.")
        else:
            self.stdout.write(self._table(rows, is_of_one=False))
            if len(rows) == options["limit"]:
                self.tell("{shown} of the recipients, more with --limit.", shown=len(rows))
        if not is_chosen(options):
            self._summarise()

    def show(self, options: Options) -> None:
        outgoing_id = OutgoingId(options["message"])
        rows = self.with_database(
            lambda database: outgoing_lists.list_recipients(database, Chosen(outgoing_id=outgoing_id), 1_000)
        )
        if rows:
            tenant_id = TenantId(rows[0].tenant_id)
            self.tell(
                "Message {id} of {tenant}: {octets} octets, from {sender}, queued {queued_at}",
                id=outgoing_id,
                tenant=_names_of(rows)[tenant_id],
                octets=rows[0].octets,
                sender=self._sender(rows[0]),
                queued_at=_moment(rows[0].queued_at),
            )
            self.stdout.write(self._table(rows, is_of_one=True))
        elif options["tenant"]:
            tenant_id = TenantId(selectors.find_tenant(options["tenant"]).pk)
            self.tell("Message {id} is not in the queue any more.", id=outgoing_id)
        else:
            raise self.failure(
                "No message {id} is in the queue. If it has left, name its --tenant to see what happened to it.",
                id=outgoing_id,
            )
        events = self.with_database(
            lambda database: outgoing_lists.list_events(database, tenant_id, outgoing_id, 1_000)
        )
        if not events:
            if not rows:  # of mail that waits for its time nothing has happened yet
                self.tell("Nothing is known of message {id}.", id=outgoing_id)
            return
        heading = [self.word(title) for title in ("Time", "What", "Recipient", "Last reply")]
        self.stdout.write(aligned(heading, [self._event(event) for event in events]))

    def _summarise(self) -> None:
        counts = self.with_database(outgoing_lists.count_states)
        for each in counts:
            reason = None if each.held_reason is None else HeldReason(each.held_reason)
            state = self.word(STATES.get((QueueState(each.state), reason), "held"))
            self.tell(
                "{count} {state}, the oldest since {since}",
                count=each.recipients,
                state=state,
                since=_moment(each.oldest_at),
            )
        waiting = self.with_database(held_acts.waiting)
        if waiting.first_at is not None:
            self.tell(
                "{count} messages are scheduled, the first for {at}",
                count=waiting.messages,
                at=_moment(waiting.first_at),
            )
        rules = self.with_database(outgoing_acts.rules)
        names = dict(Tenant.objects.filter(pk__in={rule.tenant_id for rule in rules}).values_list("pk", "slug"))
        for rule in rules:
            self.tell("Rules: mail of {who} is held.", who=self._who(rule, names.get(rule.tenant_id, "?")))

    def _who(self, rule: HoldRule, tenant: str) -> str:
        if rule.account_id is not None:
            return self.phrase("account {account} of tenant {tenant}", account=rule.account_id, tenant=tenant)
        if rule.domain is not None:
            return self.phrase("tenant {tenant} to {domain}", tenant=tenant, domain=rule.domain)
        return self.phrase("tenant {tenant}", tenant=tenant)

    def _table(self, rows: Sequence[ListedRecipient], *, is_of_one: bool) -> str:
        """Of one message the first columns say nothing."""
        names = _names_of(rows)
        heading = ("Message", "Tenant", "Sender", "Recipient", "State", "Next attempt", "Tries", "Last reply")
        cells = [
            [
                str(row.outgoing_id),
                names[row.tenant_id],
                self._sender(row),
                _readable(row.address),
                self._state(row),
                "" if row.state != QueueState.QUEUED or row.is_leased else _moment(row.next_attempt_at),
                str(row.attempts),
                _reply(row.reply_code, row.reply_enhanced, row.reply_text),
            ]
            for row in rows
        ]
        first = 3 if is_of_one else 0
        words = [self.word(title) for title in heading[first:]]
        return aligned(words, [row[first:] for row in cells], right=frozenset({6 - first}))

    def _sender(self, row: ListedRecipient) -> str:
        return _readable(row.reverse_path) if row.reverse_path else self.word("(null sender)")

    def _state(self, row: ListedRecipient) -> str:
        if row.is_leased and row.state == QueueState.QUEUED:
            return self.word("sending")
        reason = None if row.held_reason is None else HeldReason(row.held_reason)
        return self.word(STATES.get((QueueState(row.state), reason), "held"))

    def _event(self, event: ListedEvent) -> Sequence[str]:
        what = self.word(EventKind(event.kind).name.lower())
        if event.recipients is not None:
            what = self.phrase("{event}, {recipients} recipients", event=what, recipients=event.recipients)
        reply = _reply(event.reply_code or 0, event.reply_enhanced or "", event.reply_text or "")
        return [_moment(event.happened_at), what, _readable(event.address or ""), reply]

    # -- acts

    def retry(self, options: Options) -> None:
        what = self._demand_choice(options)
        count = self.with_database(lambda database: outgoing_acts.retry(database, what))
        if self._leaves_scheduled(what, count):
            self.tell("{count} recipients are tried at once.", count=count)

    def hold(self, options: Options) -> None:
        what = self._demand_choice(options)
        tenant_id = what.tenant_id
        if may_be_rule(options) and tenant_id is not None:
            self.with_database(
                lambda database: outgoing_acts.add_rule(database, tenant_id, what.account_id, what.domain)
            )
            self.tell("Mail like this is held from now on, until it is released.")
        count = self.with_database(lambda database: outgoing_acts.hold(database, what))
        if self._leaves_scheduled(what, count):
            self.tell("{count} recipients are held.", count=count)

    def release(self, options: Options) -> None:
        what = self._demand_choice(options)
        tenant_id = what.tenant_id
        if may_be_rule(options) and tenant_id is not None:
            dropped = self.with_database(
                lambda database: outgoing_acts.drop_rules(database, tenant_id, what.account_id, what.domain)
            )
            if dropped:
                self.tell("Mail like this is no longer held.")
        count = self.with_database(lambda database: outgoing_acts.release(database, what))
        if _means_scheduled(what):
            sent = self.with_database(lambda database: held_acts.send_now(database, what))
            if sent:
                self.tell("{count} scheduled messages leave now.", count=sent)
            if count or not sent:
                self.tell("{count} recipients are released.", count=count)
        elif self._leaves_scheduled(what, count):
            self.tell("{count} recipients are released.", count=count)
        if count and os.environ.get("WAYPOST_OUTBOUND", "").strip().lower() not in ("1", "yes", "true", "on"):
            self.tell("They leave when outbound is on (WAYPOST_OUTBOUND).")

    def bounce(self, options: Options) -> None:
        what = self._demand_choice(options)
        count = self.with_database(lambda database: outgoing_acts.bounce(database, what, options["reason"]))
        if self._leaves_scheduled(what, count):
            self.tell("{count} recipients go back to their senders.", count=count)
            self.tell("What is being sent at this moment is left out.")

    def remove(self, options: Options) -> None:
        what = self._demand_choice(options)
        if not options["yes"]:
            raise self.failure("This cannot be undone. Say --yes to remove mail that nobody is told of.")
        count = self.with_database(lambda database: outgoing_acts.remove(database, what))
        self.with_database(outgoing_acts.forget_orphans)
        canceled = 0
        if _means_scheduled(what):
            canceled = self.with_database(lambda database: held_acts.cancel(database, what))
            if canceled:
                self.tell("{count} scheduled messages are canceled, as if their writers had done it.", count=canceled)
        elif not self._leaves_scheduled(what, count):
            return
        if count or not canceled:
            self.tell("{count} recipients are removed; nobody is told.", count=count)
        self.tell("What is being sent at this moment is left out.")

    def smarthost(self, options: Options) -> None:
        tenant = selectors.find_tenant(options["tenant"])
        tenant_id = TenantId(tenant.pk)
        if options["remove"]:
            self.with_database(lambda database: smarthosts.remove(database, tenant_id))
        elif options["host"]:
            setting = self._setting(options)
            self.with_keys(lambda database, keys: smarthosts.save(database, keys, tenant_id, setting))
        found = self.with_keys(lambda database, keys: smarthosts.find(database, keys, tenant_id))
        if found is None:
            self.tell("The mail of {tenant} leaves as the installation's does.", tenant=tenant.slug)
            return
        text = "The mail of {tenant} leaves through {host}:{port} ({security})."
        if found.username is not None:
            text = "The mail of {tenant} leaves through {host}:{port} ({security}), signed in as {username}."
        self.tell(
            text,
            tenant=tenant.slug,
            host=found.host,
            port=found.port,
            security=found.security,
            username=found.username,
        )

    def _setting(self, options: Options) -> SmarthostSetting:
        host, _, port = str(options["host"]).rpartition(":")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise self.failure("{given} is not HOST:PORT.", given=options["host"])
        password = None
        if options["user"]:
            if options["security"] in ("none", "opportunistic"):
                raise self.failure("A password is not sent in clear: choose required or implicit.")
            password = self.password_from_stdin()
        return SmarthostSetting(host, int(port), options["security"], options["user"], password)

    def _leaves_scheduled(self, what: Chosen, count: int) -> bool:
        """Tell of what waits for its time and was chosen as well. Whether there is anything else to tell."""
        left = len(self.with_database(lambda database: held_acts.find(database, what)))
        if left:
            self.tell(
                "{count} scheduled messages stay as they are. Choose them by --message or --state scheduled: release"
                " sends them now, remove cancels them.",
                count=left,
            )
        return count > 0 or left == 0

    def _demand_choice(self, options: Options) -> Chosen:
        if not is_chosen(options):
            raise self.failure(
                "Say which mail is meant: --message, --tenant, --account, --sender, --recipient, --domain, --state, or"
                " --all."
            )
        return chosen(options)


def _means_scheduled(what: Chosen) -> bool:
    """Whether mail that waits for its time is meant, which whoever acts on much does not think of."""
    return what.outgoing_id is not None or what.held_reason is HeldReason.SCHEDULED


def _names_of(rows: Sequence[ListedRecipient]) -> dict[int, str]:
    ids = {row.tenant_id for row in rows}
    names = dict(Tenant.objects.filter(pk__in=ids).values_list("pk", "slug"))
    return {each: names.get(each, str(each)) for each in ids}


def _readable(address: str) -> str:
    """With the domain in its own script."""
    local_part, at, domain = address.rpartition("@")
    return f"{local_part}{at}{display_domain(domain)}" if at else address


def _moment(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _reply(code: int, enhanced: str, text: str) -> str:
    said = " ".join(part for part in (str(code) if code else "", enhanced, " ".join(text.split())) if part)
    return said if len(said) <= REPLY_COLUMNS else said[: REPLY_COLUMNS - 1] + "…"
