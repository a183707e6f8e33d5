"""The migrations look at who migrates before they touch anything, and agree with the models."""

import importlib
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from tests.conftest import RunningServices
from webmail.environment import database_settings

initial = importlib.import_module("tenants.migrations.0001_initial")


def test_migrating_as_another_role_is_refused_by_name(orm: None, services: RunningServices) -> None:
    connections.settings["other"] = connections.configure_settings(
        database_settings({"WAYPOST_DATABASE_URL": services.app_url}, "app")
    )["default"]
    try:
        with pytest.raises(CommandError, match=r"migrate as waypost_owner .* not as waypost_app"):
            initial.demand_roles(None, SimpleNamespace(connection=connections["other"]))
    finally:
        connections["other"].close()
        del connections["other"]
        del connections.settings["other"]


def test_missing_roles_are_named_with_the_statement_that_makes_them(orm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initial, "ROLES", ("waypost_owner", "waypost_nobody"))
    with pytest.raises(CommandError, match="waypost_nobody do not exist; create them first: CREATE ROLE"):
        initial.demand_roles(None, SimpleNamespace(connection=connections["default"]))


def test_the_models_and_the_migrations_say_the_same(orm: None) -> None:
    call_command("makemigrations", "tenants", check=True, dry_run=True, verbosity=0)
