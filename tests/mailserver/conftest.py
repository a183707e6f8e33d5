"""What the doors on Twisted need under test."""

import asyncio
import sys
from datetime import UTC, datetime

import pytest
from twisted.internet import asyncioreactor

from deploy.local.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
async def reactor() -> None:
    """Twisted on the loop of the tests."""
    if "twisted.internet.reactor" not in sys.modules:
        asyncioreactor.install(asyncio.get_running_loop())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")
    return make_certificates(directory / "public", directory / "private", now=datetime.now(UTC))
