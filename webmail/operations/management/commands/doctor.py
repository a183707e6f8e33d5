"""`manage.py doctor`: look at a whole installation and say what is wrong with it."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailserver.config import Config, read_config, unknown_settings
from mailserver.settings import ConfigurationInvalid
from mailserver.variables import Variables, read_variables
from tenants.errors import LanguageUnknown
from tenants.locality import known_language
from tenants.management.wording import language_of_terminal
from webmail.operations.checks import (
    backup,
    certificate,
    database,
    demonstration,
    keys,
    objects,
    outbound,
    surroundings,
)
from webmail.operations.findings import Check, Finding, Level, Patient, fine, problem, warning
from webmail.operations.wording import say

CHECKS: tuple[Check, ...] = (
    database.check_roles,
    database.check_server,
    database.check_tables,
    backup.check_backup,
    keys.check_secrets,
    keys.check_keys,
    certificate.check_certificate,
    surroundings.check_redis,
    objects.check_objects,
    surroundings.check_limits,
    surroundings.check_reach,
    outbound.check_outbound,
    demonstration.check_demonstration,
)
SIGNS = {Level.FINE: "✓", Level.WARNING: "!", Level.PROBLEM: "✗"}


class Command(BaseCommand):
    help = (
        "Look at the configuration, Postgres, keys, certificate and what stands around; exit 1 if there are problems."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--production", action="store_true", help="also refuse what is meant for trying out")
        parser.add_argument("--json", action="store_true", help="as JSON")
        parser.add_argument("--speak", metavar="LANGUAGE", help="answer in en or zh-hans (default: LANG)")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        language = _language(options["speak"])
        findings = list(examine(is_production=options["production"]))
        if options["json"]:
            self.stdout.write(json.dumps([_plain(each, language) for each in findings], ensure_ascii=False, indent=1))
        else:
            self._show(findings, language)
        if any(each.level is Level.PROBLEM for each in findings):
            raise SystemExit(1)

    def _show(self, findings: list[Finding], language: str) -> None:
        styles = {
            Level.FINE: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.PROBLEM: self.style.ERROR,
        }
        for each in findings:
            self.stdout.write(f"{styles[each.level](SIGNS[each.level])} {say(language, each.text, **each.values)}")
        count = {level: sum(each.level is level for each in findings) for level in Level}
        summary = say(
            language, "{problems} problems, {warnings} warnings",
            problems=count[Level.PROBLEM], warnings=count[Level.WARNING],
        )  # fmt: skip
        self.stdout.write(summary)


def examine(*, is_production: bool) -> Iterator[Finding]:
    """Everything that was found; without a configuration nothing else can be looked at."""
    try:
        variables = read_variables(os.environ)
        config = read_config(variables)
    except ConfigurationInvalid as invalid:
        for each in invalid.problems:
            text = "{variable}: {wrong}; for example {variable}={example}"
            yield problem(text, variable=each.variable, wrong=each.wrong, example=each.example)
        return
    yield from _look_at_names(variables)
    patient = _patient(config, variables, is_production=is_production)
    for check in CHECKS:
        yield from check(patient)


def _look_at_names(variables: Variables) -> Iterator[Finding]:
    unknown = unknown_settings(variables)
    for name, meant in unknown.items():
        if meant is None:
            yield warning("{variable} is no setting", variable=name)
        else:
            yield warning("{variable} is no setting; was {meant} meant?", variable=name, meant=meant)
    if not unknown:
        yield fine("The configuration can be used")


def _patient(config: Config, variables: Variables, *, is_production: bool) -> Patient:
    return Patient(
        config=config,
        owner_url=variables.values.get("WAYPOST_OWNER_DATABASE_URL", ""),
        ca_file=variables.values.get("WAYPOST_CA_FILE", ""),
        is_production=is_production,
    )


def _language(wanted: str | None) -> str:
    if wanted is None:
        return language_of_terminal()
    try:
        return known_language(wanted)
    except LanguageUnknown as unknown:
        raise CommandError(str(unknown)) from None


def _plain(finding: Finding, language: str) -> dict[str, str]:
    return {"level": finding.level, "finding": say(language, finding.text, **finding.values)}
