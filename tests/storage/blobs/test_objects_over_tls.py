"""Objects over TLS, with an authority of one's own (MinIO serves it)."""

from dataclasses import replace

import pytest

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
