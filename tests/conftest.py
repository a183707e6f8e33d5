"""Real Postgres and Redis, started once per worker; every test works in a fresh tenant."""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings

from deploy.local.objects import ObjectAccess, start_objects
from deploy.local.services import start_services
from mailserver.services.delivery import Deliveries
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.key_files import make_master_key
from storage.keys import KeyRing
from storage.parts.homes import PartStore
from storage.provisioning import make_tenant_keys, provision_account
from storage.store import MailStore
from storage.types import Modseq
from tenants.types import AccountId, Address, Principal, Recipient, TenantId

# How long an example takes says more of what else the machine does.
settings.register_profile("waypost", deadline=None)
settings.load_profile("waypost")

ROOT = Path(__file__).parent.parent
_numbers = itertools.count(1_000_000)  # far from the ids that the directory gives its tenants and people


@dataclass(frozen=True, slots=True)
class RunningServices:
    """Where the services of this test run are; the database is migrated."""

    owner_url: str
    app_url: str
    system_url: str
    redis_url: str
    secrets: Path

    def environment(self) -> dict[str, str]:
        """For programs that a test starts."""
        return {
            **os.environ,
            "WAYPOST_OWNER_DATABASE_URL": self.owner_url,
            "WAYPOST_DATABASE_URL": self.app_url,
            "WAYPOST_SYSTEM_DATABASE_URL": self.system_url,
            "WAYPOST_REDIS_URL": self.redis_url,
            "WAYPOST_SECRETS": str(self.secrets),
            "WAYPOST_DATABASE_ROLE": "owner",
            "DJANGO_SETTINGS_MODULE": "webmail.settings",
        }

    def manage(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=ROOT,
            env=self.environment(),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )


@contextlib.contextmanager
def running_services(directory: Path) -> Iterator[RunningServices]:
    """Postgres, migrated, and Redis, with secrets of their own."""
    running = start_services(directory, durable=False)
    try:
        found = running.environment()
        secrets = directory / "waypost-secrets"
        make_master_key(secrets)
        services = RunningServices(
            owner_url=found["WAYPOST_OWNER_DATABASE_URL"],
            app_url=found["WAYPOST_DATABASE_URL"],
            system_url=found["WAYPOST_SYSTEM_DATABASE_URL"],
            redis_url=found["WAYPOST_REDIS_URL"],
            secrets=secrets,
        )
        migrated = services.manage("migrate", "--verbosity", "0")
        assert migrated.returncode == 0, migrated.stderr
        yield services
    finally:
        running.stop()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture(scope="session")
async def database(services: RunningServices) -> AsyncIterator[Database]:
    opened = Database(DatabaseConfig(app_url=services.app_url, system_url=services.system_url))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectAccess]:
    """The embedded S3, started for the first test that asks."""
    running = start_objects(tmp_path_factory.mktemp("s3"))
    yield running.access()
    running.stop()


def objects_config(access: ObjectAccess, **settings: Any) -> ObjectsConfig:
    return ObjectsConfig(
        url=access.url, access_key=access.access_key, secret_key=access.secret_key, bucket=access.bucket, **settings
    )


@pytest.fixture(scope="session")
async def objects(s3: ObjectAccess) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(objects_config(s3))
    await store.prepare()
    yield store
    await store.close()


class Announcements:
    """Collects what services announce, for tests that ask whether anyone was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[TenantId, AccountId, Modseq]] = []

    def __call__(self, tenant_id: TenantId, account_id: AccountId, modseq: Modseq) -> None:
        self.heard.append((tenant_id, account_id, modseq))


@pytest.fixture
def announcements() -> Announcements:
    return Announcements()


@pytest.fixture
def store(services: RunningServices, database: Database, announcements: Announcements) -> MailStore:
    return MailStore(database, KeyRing(services.secrets, database), TieredBlobs(HotBlobs()), announcements)


@pytest.fixture
def tiered_store(store: MailStore, objects: ObjectStore) -> MailStore:
    """The same with an object store."""
    parts = PartStore(store.database, objects, waiting_octets=10**9)
    return replace(store, blobs=TieredBlobs(HotBlobs(), objects), parts=parts)


@pytest.fixture
def deliveries(store: MailStore) -> Deliveries:
    return Deliveries(store)


@dataclass(frozen=True, slots=True)
class Company:
    """A fresh tenant with keys; the mail store needs no more to know of it."""

    tenant_id: TenantId
    database: Database

    async def person(self, name: str = "ada", *, quota_octets: int | None = None) -> Principal:
        account_id = AccountId(next(_numbers))
        await provision_account(self.database, self.tenant_id, account_id)
        return Principal(
            tenant_id=self.tenant_id,
            account_id=account_id,
            address=Address(f"{name}{account_id}", "company.test"),
            display_name=name.title(),
            language="en",
            time_zone="UTC",
            quota_octets=quota_octets,
            is_administrator=False,
        )


@pytest.fixture
async def company(services: RunningServices, database: Database) -> Company:
    return await new_company(services, database)


async def new_company(services: RunningServices, database: Database) -> Company:
    tenant_id = TenantId(next(_numbers))
    await asyncio.to_thread(make_tenant_keys, services.secrets, services.owner_url, tenant_id)
    return Company(tenant_id, database)


def as_recipient(who: Principal) -> Recipient:
    return Recipient(who.tenant_id, who.account_id, who.address, "", who.quota_octets)


def plain_message(number: int = 1, *, body: str = "Lunch at noon?", **fields: str) -> bytes:
    """A small well-formed message. Field names are given with underscores: in_reply_to="<a@b>"."""
    header = {
        "From": "Grace <grace@elsewhere.test>",
        "To": "Ada <ada@company.test>",
        "Subject": f"Message {number}",
        "Date": "Mon, 02 Nov 2026 10:00:00 +0000",
        "Message-ID": f"<{number}@elsewhere.test>",
        **{name.replace("_", "-").title(): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in header.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body + "\r\n").encode()


NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def owner_connection(services: RunningServices) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(services.owner_url)
