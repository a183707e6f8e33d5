"""The two S3 servers, each started once per worker and only when a test asks for it; a bucket for each test file."""

import datetime as dt
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from deploy.local.certificates import Certificates, make_certificates
from storage.blobs.object_requests import Observed
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from tests.storage.blobs import servers
from tests.storage.blobs.faulty_proxy import FaultyProxy

_names = itertools.count(1)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectsConfig]:
    with servers.seaweedfs(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectsConfig]:
    with servers.minio(tmp_path_factory.mktemp("minio")) as running:
        yield running


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    return make_certificates(directory / "public", directory / "keys", now=dt.datetime.now(dt.UTC), names=["127.0.0.1"])


@pytest.fixture(scope="session")
def minio_over_tls(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[ObjectsConfig]:
    with servers.minio(tmp_path_factory.mktemp("minio-tls"), certificates) as running:
        yield running


@pytest.fixture(scope="session", params=["seaweedfs", "minio"])
def server(request: pytest.FixtureRequest) -> ObjectsConfig:
    """Each S3 server in turn, with little patience."""
    running: ObjectsConfig = request.getfixturevalue(request.param)
    return replace(running, connect_timeout_s=1.0, read_timeout_s=5.0, breaker_failures=50, part_octets=5 * 1024 * 1024)


def new_bucket(server: ObjectsConfig) -> ObjectsConfig:
    """The name of a bucket that is not there yet."""
    return replace(server, bucket=f"bucket-{next(_names)}")


@pytest.fixture(scope="session")
async def plain(server: ObjectsConfig) -> ObjectsConfig:
    """A bucket without Object Lock, and so without versions."""
    config = replace(new_bucket(server), object_lock=False)
    await _prepare(config)
    return config


@pytest.fixture(scope="session")
async def locked(server: ObjectsConfig) -> ObjectsConfig:
    """A bucket with Object Lock."""
    config = new_bucket(server)
    await _prepare(config)
    return config


async def _prepare(config: ObjectsConfig) -> None:
    store = ObjectStore(config)
    await store.prepare()
    await store.close()


class Seen:
    """Collects what a store tells of its requests."""

    def __init__(self) -> None:
        self.requests: list[Observed] = []

    def __call__(self, observed: Observed) -> None:
        self.requests.append(observed)

    def outcomes(self) -> list[str]:
        return [each.outcome.value for each in self.requests]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def store(plain: ObjectsConfig, seen: Seen) -> AsyncIterator[ObjectStore]:
    opened = ObjectStore(plain, seen)
    yield opened
    await opened.close()


@pytest.fixture
async def locked_store(locked: ObjectsConfig) -> AsyncIterator[ObjectStore]:
    opened = ObjectStore(locked)
    yield opened
    await opened.close()


@pytest.fixture
def proxy(plain: ObjectsConfig) -> Iterator[FaultyProxy]:
    with FaultyProxy(plain.url) as running:
        yield running


@pytest.fixture
async def behind_proxy(plain: ObjectsConfig, proxy: FaultyProxy, seen: Seen) -> AsyncIterator[ObjectStore]:
    opened = ObjectStore(replace(plain, url=proxy.url, read_timeout_s=1.0), seen)
    yield opened
    proxy.heal()
    await opened.close()
