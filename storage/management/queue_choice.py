"""How `manage.py queue` is told which mail is meant."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from storage.outgoing_acts import Chosen
from storage.outgoing_types import HeldReason, OutgoingId, QueueState
from tenants import selectors
from tenants.addresses import parse_domain
from tenants.types import AccountId, TenantId

STATES: dict[str, tuple[QueueState, HeldReason | None]] = {
    "queued": (QueueState.QUEUED, None),
    "scheduled": (QueueState.QUEUED, HeldReason.SCHEDULED),
    "held": (QueueState.HELD, None),
    "off": (QueueState.HELD, HeldReason.OUTBOUND_OFF),
    "administrator": (QueueState.HELD, HeldReason.ADMINISTRATOR),
    "suspended": (QueueState.HELD, HeldReason.SUSPENDED),
    "failing": (QueueState.HELD, HeldReason.ENDS_PROCESSES),
    "ended": (QueueState.ENDED, None),
}
CHOICES = ("message", "tenant", "account", "sender", "recipient", "domain", "state", "all")
_OF_RULES = frozenset({"tenant", "account", "domain"})


def add_choice(parser: CommandParser) -> None:
    parser.add_argument("--message", type=int, metavar="ID", help="one message, by the number that list shows")
    parser.add_argument("--tenant", metavar="TENANT", help="of a company: its slug or one of its domains")
    parser.add_argument("--account", metavar="ADDRESS", help="submitted by this person")
    parser.add_argument("--sender", metavar="ADDRESS", help="with this reverse path")
    parser.add_argument("--recipient", metavar="ADDRESS", help="to this address")
    parser.add_argument("--domain", metavar="DOMAIN", help="to this domain")
    parser.add_argument(
        "--state",
        choices=tuple(STATES),
        help="in this state; off, administrator, suspended and failing say why it is held",
    )


def is_chosen(options: Mapping[str, Any]) -> bool:
    return any(options.get(name) not in (None, False) for name in CHOICES)


def may_be_rule(options: Mapping[str, Any]) -> bool:
    """Whether it names mail to come as well: of a tenant, of a person, or of a tenant for a domain."""
    named = {name for name in CHOICES if options.get(name) not in (None, False)}
    has_tenant = bool(named & {"tenant", "account"})
    return has_tenant and named <= _OF_RULES and named != {"account", "domain"} and named != _OF_RULES


def chosen(options: Mapping[str, Any]) -> Chosen:
    """Raises TenantNotFound, AccountNotFound, DomainInvalid, AddressInvalid."""
    tenant_id: TenantId | None = None
    account_id: AccountId | None = None
    if options.get("account"):
        account = selectors.find_account(options["account"])
        tenant_id, account_id = TenantId(account.tenant_id), AccountId(account.pk)
    if options.get("tenant"):
        tenant_id = TenantId(selectors.find_tenant(options["tenant"]).pk)
    state, reason = STATES[options["state"]] if options.get("state") else (None, None)
    message = options.get("message")
    return Chosen(
        tenant_id,
        account_id,
        None if message is None else OutgoingId(message),
        options.get("sender"),
        _with_a_label(options.get("recipient")),
        parse_domain(options["domain"]) if options.get("domain") else None,
        state,
        reason,
    )


def _with_a_label(address: str | None) -> str | None:
    """As the queue has it: the local part as it was given, the domain as DNS knows it."""
    if not address:
        return None
    local_part, at, domain = address.rpartition("@")
    return f"{local_part}@{parse_domain(domain)}" if at and not domain.startswith("[") else address
