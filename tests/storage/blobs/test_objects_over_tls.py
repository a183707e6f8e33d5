"""Objects over TLS, with an authority of one's own (MinIO serves it)."""

import asyncio
import ssl
from dataclasses import replace

import pytest

from deploy.local.certificates import Certificates
from storage.blobs.object_faults import ObjectsMisconfigured
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.errors import ColdTierUnavailable
from tests.storage.blobs.test_objects import PART, some_octets


async def test_objects_are_put_and_read_over_tls(minio_over_tls: ObjectsConfig) -> None:
    store = ObjectStore(minio_over_tls)
    await store.prepare()
    octets = some_octets(3 * PART)
    await store.put("over tls", octets)
    assert await store.get("over tls", 0, len(octets)) == octets
    await store.put("small", b"octets")
    assert await store.get("small", 1, 3) == b"cte"
    await store.close()


async def test_closing_waits_only_a_moment_for_a_server_that_hangs(certificates: Certificates) -> None:
    has_begun, is_over = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        has_begun.set()
        await is_over.wait()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    async with await asyncio.start_server(hang, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = ObjectsConfig(url=url, access_key="a", secret_key="b", ca_file=certificates.ca, read_timeout_s=600.0)
        store = ObjectStore(config)
        waiting = asyncio.create_task(store.get("a", 0, 1))
        await has_begun.wait()
        async with asyncio.timeout(10.0):
            await store.close()
        with pytest.raises(ColdTierUnavailable):
            await waiting
        is_over.set()


async def test_a_certificate_of_an_authority_nobody_named_is_not_trusted(minio_over_tls: ObjectsConfig) -> None:
    store = ObjectStore(replace(minio_over_tls, ca_file=None))
    with pytest.raises(ColdTierUnavailable, match="certificate of S3 is not trusted"):
        await store.get("over tls", 0, 1)
    with pytest.raises(ObjectsMisconfigured, match="certificate of S3 is not trusted"):
        await store.prepare()
    await store.close()


async def test_a_certificate_for_another_name_is_not_trusted(minio_over_tls: ObjectsConfig) -> None:
    elsewhere = minio_over_tls.url.replace("127.0.0.1", "localhost")
    store = ObjectStore(replace(minio_over_tls, url=elsewhere))
    with pytest.raises(ColdTierUnavailable, match="certificate of S3 is not trusted"):
        await store.look()
    await store.close()


async def test_plain_http_to_a_tls_server_is_a_refusal(minio_over_tls: ObjectsConfig) -> None:
    store = ObjectStore(replace(minio_over_tls, url=minio_over_tls.url.replace("https", "http")))
    with pytest.raises(ColdTierUnavailable):
        await store.look()
    await store.close()
