"""Random deeds by SMTP, LMTP, IMAP, JMAP and upkeep at once: every client's cache, led on by /changes or QRESYNC alone,
is what the server has, and both protocols tell one truth.

The test prints the seed of each world; WAYPOST_SEED begins with that one. WAYPOST_SOAK=1 makes worlds for two hours.
What is done at once may come in another order when it is done again.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from redis.asyncio import Redis

from mailserver.assembly import Parts, assemble
from mailserver.config import read_config
from mailserver.services.account_views import AccountViews
from mailserver.smtp.config import Door
from mailserver.variables import read_variables
from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.keys import KeyRing
from storage.provisioning import provision_account
from tests.conftest import RunningServices
from tests.people import new_person
from tests.webmail.jmap.client import Jmap
from tests.webmail.one_truth.house import letter_doors, new_house
from webmail.jmap.http.application import open_door

SOAK_S = 2 * 60 * 60.0 if os.environ.get("WAYPOST_SOAK") == "1" else 0.0
WORLDS = 4  # at least
ROUNDS = 50
CHECK_EVERY = 25


@pytest.fixture(scope="module")
async def parts(services: RunningServices, database: Database, objects: ObjectStore) -> AsyncIterator[Parts]:
    """What a process has that plays all roles."""
    variables = {**services.environment(), "WAYPOST_HOSTNAME": "mail.company.test"}
    redis: Redis = Redis.from_url(services.redis_url)
    keys = KeyRing(services.secrets, database)
    async with assemble(read_config(read_variables(variables)), database, keys, None, redis, objects) as assembled:
        yield assembled
    await redis.aclose()


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("WAYPOST_SEED") or random.SystemRandom().getrandbits(32))


async def one_world(parts: Parts, services: RunningServices, ports: Mapping[Door, int], seed: int) -> None:
    dice = random.Random(seed)
    person = await asyncio.to_thread(new_person, services)
    who = person.principal
    await provision_account(parts.store.database, who.tenant_id, who.account_id)
    second = replace(parts, account_views=AccountViews(parts.store))
    processes = [Jmap(open_door(each), person, parts.store) for each in (parts, second)]
    with psycopg.connect(services.owner_url, autocommit=True) as owner:
        house = await new_house(parts, processes, owner, services, ports, dice)
        for index in range(ROUNDS):
            if dice.random() < 0.15:
                await house.something_alone()
            deeds: list[Coroutine[Any, Any, None]] = [house.something() for _ in range(dice.choice((1, 1, 2, 3, 5)))]
            await asyncio.gather(*deeds)
            if index % CHECK_EVERY == CHECK_EVERY - 1 or dice.random() < 0.03:
                await house.check()
        house.close()


async def test_every_cache_is_what_the_server_has(parts: Parts, services: RunningServices, seed: int) -> None:
    end = time.monotonic() + SOAK_S
    number = 0
    async with letter_doors(parts) as ports:
        while number < WORLDS or time.monotonic() < end:
            print(f"WAYPOST_SEED={seed + number}")
            await one_world(parts, services, ports, seed + number)
            number += 1
