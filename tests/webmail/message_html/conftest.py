"""What the tests of messages as HTML share: the door of a process over real Postgres and Redis, and who asks there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from mailserver.assembly import Parts, assemble
from mailserver.config import read_config
from mailserver.variables import read_variables
from storage.database import Database
from storage.keys import KeyRing
from storage.provisioning import provision_account
from tests.conftest import RunningServices
from tests.people import new_person
from tests.webmail.jmap.client import Jmap
from webmail.message_html.door import open_door

NewReader = Callable[[], Awaitable[Jmap]]


@pytest.fixture
def seconds_of_work() -> float:
    """So much of a processor's time may the largest message take. A tenth of it is usual."""
    return 10.0


@pytest.fixture(scope="session")
async def parts(services: RunningServices, database: Database) -> AsyncIterator[Parts]:
    """What a process of the web role has, without S3; images may be asked for on this machine."""
    more = {"WAYPOST_HOSTNAME": "mail.company.test", "WAYPOST_OUTWARD_REACH": "loopback"}
    variables = {**services.environment(), **more}
    redis: Redis = Redis.from_url(services.redis_url)
    keys = KeyRing(services.secrets, database)
    async with assemble(read_config(read_variables(variables)), database, keys, None, redis, None) as assembled:
        yield assembled
    await redis.aclose()


@pytest.fixture
def new_reader(services: RunningServices, parts: Parts) -> NewReader:
    """Makes somebody in a company of their own, who asks at the door of messages."""

    async def make() -> Jmap:
        person = await asyncio.to_thread(new_person, services)
        who = person.principal
        await provision_account(parts.store.database, who.tenant_id, who.account_id)
        return Jmap(open_door(parts), person, parts.store)

    return make


@pytest.fixture
async def reader(new_reader: NewReader) -> Jmap:
    return await new_reader()
