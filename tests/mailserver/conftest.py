"""What the doors on Twisted need under test: a loop, a certificate, services, and somebody who signs in."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from twisted.internet import asyncioreactor

from deploy.local.certificates import Certificates, make_certificates
from mailserver.imap.session.conversation import Services
from storage.database import Database
from storage.store import MailStore
from tests.conftest import RunningServices
from tests.imap_services import imap_services
from tests.people import Person, new_person


@pytest.fixture(scope="session")
async def reactor() -> None:
    """Twisted on the loop of the tests."""
    if "twisted.internet.reactor" not in sys.modules:
        asyncioreactor.install(asyncio.get_running_loop())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")
    return make_certificates(directory / "public", directory / "private", now=datetime.now(UTC))


@pytest.fixture
async def imap(store: MailStore, database: Database) -> AsyncIterator[Services]:
    async with imap_services(store, database) as services:
        yield services


@pytest.fixture
async def person(services: RunningServices) -> Person:
    return await asyncio.to_thread(new_person, services)
