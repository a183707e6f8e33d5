"""`manage.py tenant policy`, `hold`, `retention`: what is kept of a company's mail, where, and for how long."""

import argparse
import json
from collections.abc import Sequence
from functools import partial

from django.core.management.base import CommandParser

from tenants import policy_changes, selectors
from tenants.management.command import ActionCommand, Options
from tenants.management.display import shown_address
from tenants.management.table import aligned
from tenants.models import RetentionRule, Tenant
from tenants.policies import RetentionAction
from tenants.quota import format_octets, parse_days, parse_days_or_never, parse_quota

# Column of the policy, its option, how it is read, what it is called.
_OPTIONS = (
    ("cold_after_days", "cold_after", parse_days_or_never, "Cold after"),
    ("hot_budget_octets", "hot_budget", parse_quota, "Hot budget"),
    ("promote_within_days", "promote_within", parse_days_or_never, "Comes back when read twice within"),
    ("quota_octets", "pool", parse_quota, "Pool of all accounts"),
    ("recoverable_days", "recoverable_days", parse_days, "Expunged messages can be restored for"),
    ("account_recovery_days", "account_recovery_days", parse_days, "Deleted accounts can be restored for"),
)
_DAYS_UNSET, _OCTETS_UNSET = "never", "unlimited"


def add_policy_actions(command: ActionCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    policy = actions.add_parser("policy", help="show or change what is kept of a company's mail, where, and how long")
    policy.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
    policy.add_argument("--cold-after", metavar="DAYS|never", help="content not read for so long leaves Postgres")
    policy.add_argument("--hot-budget", metavar="OCTETS|none", help="such as 50GiB: as much content stays in Postgres")
    policy.add_argument(
        "--promote-within", metavar="DAYS|never", help="cold content read on two days within so many comes back"
    )
    policy.add_argument(
        "--pool", metavar="OCTETS|none", help="such as 1TiB: as much may all its accounts have together"
    )
    policy.add_argument("--recoverable-days", metavar="DAYS", help="expunged messages can be restored; 0: gone at once")
    policy.add_argument("--account-recovery-days", metavar="DAYS", help="deleted accounts can be restored")
    policy.add_argument("--json", action="store_true", help="as JSON")
    policy.set_defaults(run=partial(_policy, command))

    hold = actions.add_parser("hold", help="legal hold: nothing of the company is deleted for good")
    hold.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
    hold.add_argument("state", choices=["on", "off"])
    hold.add_argument("--reason", default="", help="why, such as the case's number")
    hold.set_defaults(run=partial(_hold, command))

    inner = actions.add_parser(
        "retention", help="what becomes of messages that lie in a folder for long"
    ).add_subparsers(dest="retention_action", required=True, metavar="ACTION")
    show = inner.add_parser("list", help="show the rules of a company")
    show.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(run=partial(_list_rules, command))
    make = inner.add_parser("set", help="make or change the rule of a folder")
    remove = inner.add_parser("remove", help="remove the rule of a folder")
    for parser in (make, remove):
        parser.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
        parser.add_argument("folder", metavar="FOLDER", help="a mailbox name, or a special use such as \\Trash")
        parser.add_argument("--account", metavar="ADDRESS", help="for this person only")
    make.add_argument("--days", required=True, help="how long messages may lie there")
    make.add_argument(
        "--then",
        choices=[each.value for each in RetentionAction],
        default=RetentionAction.REMOVE.value,
        help="remove them as if they were expunged (default), or move them to the trash",
    )
    make.set_defaults(run=partial(_set_rule, command))
    remove.set_defaults(run=partial(_remove_rule, command))


def _policy(command: ActionCommand, options: Options) -> None:
    changed = {column: read(options[option]) for column, option, read, _ in _OPTIONS if options[option] is not None}
    if changed:
        tenant = policy_changes.set_policy(options["tenant"], changed)
        command.tell("Changed tenant {slug}.", slug=tenant.slug)
    else:
        tenant = selectors.find_tenant(options["tenant"])
    if options["json"]:
        command.stdout.write(json.dumps(_as_json(tenant), ensure_ascii=False, indent=2))
        return
    rows = [(command.word(title), _shown(command, tenant, column)) for column, _, _, title in _OPTIONS]
    hold = command.phrase("yes: {reason}", reason=tenant.hold_reason) if tenant.is_held else command.word("no")
    rows.append((command.word("Legal hold"), hold))
    command.stdout.write(aligned([command.word("Policy"), tenant.slug], rows))


def _shown(command: ActionCommand, tenant: Tenant, column: str) -> str:
    value: int | None = getattr(tenant, column)
    if column.endswith("_octets"):
        return command.word(_OCTETS_UNSET) if value is None else format_octets(value)
    return command.word(_DAYS_UNSET) if value is None else command.phrase("{days} days", days=value)


def _as_json(tenant: Tenant) -> dict[str, object]:
    values: dict[str, object] = {column: getattr(tenant, column) for column, *_ in _OPTIONS}
    return values | {"tenant": tenant.slug, "is_held": tenant.is_held, "hold_reason": tenant.hold_reason}


def _hold(command: ActionCommand, options: Options) -> None:
    if options["state"] == "on":
        slug = policy_changes.hold_tenant(options["tenant"], options["reason"]).slug
        command.tell("{name} is under legal hold: nothing of it is deleted for good.", name=slug)
    else:
        command.tell("{name} is free of legal hold.", name=policy_changes.free_tenant(options["tenant"]).slug)


def _list_rules(command: ActionCommand, options: Options) -> None:
    rules = selectors.list_rules(selectors.find_tenant(options["tenant"]))
    if options["json"]:
        command.stdout.write(json.dumps([_rule_as_json(rule) for rule in rules], ensure_ascii=False, indent=2))
    elif not rules:
        command.tell("There are no retention rules: messages stay until somebody deletes them.")
    else:
        heading = ("Folder", "Days", "Then", "Account")
        rows = [_rule_row(command, rule) for rule in rules]
        command.stdout.write(aligned([command.word(title) for title in heading], rows, right=frozenset({1})))


def _set_rule(command: ActionCommand, options: Options) -> None:
    rule = policy_changes.set_rule(
        options["tenant"],
        options["folder"],
        days=max(parse_days(options["days"]), 1),
        action=RetentionAction(options["then"]),
        address=options["account"],
    )
    text = {
        RetentionAction.REMOVE: "Messages that lie in {folder} for {days} days are removed.",
        RetentionAction.TRASH: "Messages that lie in {folder} for {days} days are moved to the trash.",
    }[RetentionAction(rule.action)]
    command.tell(text, folder=rule.folder, days=rule.days)


def _remove_rule(command: ActionCommand, options: Options) -> None:
    policy_changes.remove_rule(options["tenant"], options["folder"], address=options["account"])
    command.tell("Removed the rule of {folder}.", folder=options["folder"])


def _rule_row(command: ActionCommand, rule: RetentionRule) -> Sequence[str]:
    whose = command.word("everybody") if rule.account is None else _address_of(rule)
    return [rule.folder, str(rule.days), command.word(rule.action), whose]


def _address_of(rule: RetentionRule) -> str:
    assert rule.account is not None
    return next((shown_address(text) for text in selectors.address_texts(rule.account)), f"#{rule.account.pk}")


def _rule_as_json(rule: RetentionRule) -> dict[str, object]:
    account = None if rule.account is None else rule.account.pk
    return {"folder": rule.folder, "days": rule.days, "then": rule.action, "account": account}
