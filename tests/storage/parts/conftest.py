"""A desk at which large attachments arrive."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.objects import ObjectAccess
from storage.blobs.objects import ObjectStore
from storage.store import MailStore
from tests.conftest import Company, RunningServices
from tests.parts_desk import Desk, open_desk

__all__ = ["desk"]


@pytest.fixture
async def desk(
    services: RunningServices, company: Company, store: MailStore, s3: ObjectAccess, objects: ObjectStore
) -> AsyncIterator[Desk]:
    del objects  # the bucket is ready
    async with open_desk(services, company, store, s3) as opened:
        yield opened
