"""The ORM on the session's database as waypost_owner, a fresh tenant, and connections as the other roles."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
import psycopg
import pytest

from tests.conftest import RunningServices

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
django.setup()

from django.db import connections  # noqa: E402

from tenants import services as administration  # noqa: E402
from tenants.models import Account, Tenant  # noqa: E402
from webmail.environment import database_settings  # noqa: E402

PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def orm(services: RunningServices) -> Iterator[None]:
    chosen = database_settings({"WAYPOST_OWNER_DATABASE_URL": services.owner_url}, "owner")
    connections.settings = connections.configure_settings(chosen)
    yield
    connections.close_all()


@pytest.fixture
def tenant(orm: None) -> Tenant:
    """A company with a domain of its own, of people who speak Chinese."""
    name = f"t{uuid.uuid4().hex[:12]}.test"
    return administration.add_tenant(name, name="示例公司", language="zh-hans", time_zone="Asia/Shanghai")


@pytest.fixture
def domain(tenant: Tenant) -> str:
    return tenant.slug


@pytest.fixture
def ann(domain: str) -> Account:
    return administration.add_account(f"ann@{domain}", password=PASSWORD, name="Ann Lee")


@pytest.fixture
async def app(services: RunningServices) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    """A connection of the application's role that carries no tenant, as `database.directory()` gives."""
    async with await psycopg.AsyncConnection.connect(services.app_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def system(services: RunningServices) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    async with await psycopg.AsyncConnection.connect(services.system_url, autocommit=True) as connection:
        yield connection
