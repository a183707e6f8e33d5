"""The JMAP door of a process over real Postgres and Redis, and somebody who asks there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from mailserver.assembly import Parts, assemble
from mailserver.config import read_config
from mailserver.variables import read_variables
from mailserver.web import Application
from storage.database import Database
from storage.keys import KeyRing
from storage.provisioning import provision_account
from tests.conftest import RunningServices
from tests.people import new_person
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.web_role import web_role
from webmail.jmap.http.application import open_door

NewJmap = Callable[[], Awaitable[Jmap]]


@pytest.fixture(scope="session")
async def parts(services: RunningServices, database: Database) -> AsyncIterator[Parts]:
    """What a process of the web role has, without S3."""
    variables = {**services.environment(), "WAYPOST_HOSTNAME": "mail.company.test"}
    redis: Redis = Redis.from_url(services.redis_url)
    keys = KeyRing(services.secrets, database)
    async with assemble(read_config(read_variables(variables)), database, keys, None, redis, None) as assembled:
        yield assembled
    await redis.aclose()


@pytest.fixture(scope="session")
def application(parts: Parts) -> Application:
    return open_door(parts)


@pytest.fixture(scope="module")
async def web_port(parts: Parts) -> AsyncIterator[int]:
    """Where the whole web role listens, pages too."""
    async with web_role(parts) as port:
        yield port


@pytest.fixture
def new_jmap(services: RunningServices, parts: Parts, application: Application) -> NewJmap:
    """Makes another person in a company of their own, with the first mailboxes."""

    async def make() -> Jmap:
        person = await asyncio.to_thread(new_person, services)
        who = person.principal
        await provision_account(parts.store.database, who.tenant_id, who.account_id)
        return Jmap(application, person, parts.store)

    return make


@pytest.fixture
async def jmap(new_jmap: NewJmap) -> Jmap:
    return await new_jmap()
