"""The rights that docs/operations.md names are enough for all that an ObjectStore does."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minio.commonconfig import GOVERNANCE
from minio.credentials import StaticProvider
from minio.minioadmin import MinioAdmin
from minio.objectlockconfig import DAYS, ObjectLockConfig

from storage.blobs.object_faults import ObjectsMisconfigured
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.errors import ColdTierUnavailable
from tests.storage.blobs.conftest import new_bucket
from tests.storage.blobs.test_objects import PART, another_client, names_in, some_octets

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
NAME, SECRET = "limited", "a secret of the limited one"


def documented_policy(bucket: str) -> str:
    found = re.search(r"```json\n(\{.*?\n\})\n```", OPERATIONS.read_text("utf-8"), re.DOTALL)
    assert found
    return json.dumps(json.loads(found[1])).replace("arn:aws:s3:::waypost", f"arn:aws:s3:::{bucket}")


def give_rights(config: ObjectsConfig, policy: Path) -> None:
    admin = MinioAdmin(
        endpoint=urlsplit(config.url).netloc,
        credentials=StaticProvider(config.access_key, config.secret_key),
        region=config.region,
        secure=False,
    )
    admin.user_add(NAME, SECRET)
    admin.policy_add(NAME, str(policy))
    admin.policy_set(NAME, user=NAME)


@pytest.fixture
async def limited(minio: ObjectsConfig, tmp_path: Path) -> ObjectsConfig:
    """Somebody with the documented rights to a bucket that is there."""
    config = new_bucket(minio)
    store = ObjectStore(config)
    await store.prepare()
    await store.close()
    policy = tmp_path / "policy.json"
    policy.write_text(documented_policy(config.bucket))
    await asyncio.to_thread(give_rights, config, policy)
    return replace(config, access_key=NAME, secret_key=SECRET, part_octets=PART)


async def test_the_documented_rights_are_enough(limited: ObjectsConfig) -> None:
    store = ObjectStore(limited)
    await store.prepare()
    await store.look()
    assert await store.has_object_lock()
    octets = some_octets(2 * PART + 1)
    await store.put("in parts", octets)
    await store.put("small", b"octets")
    assert await store.get("in parts", PART - 1, 2) == octets[PART - 1 : PART + 1]
    assert await store.facts("absent") is None
    with pytest.raises(ValueError, match="octets"):
        await store.put_pieces("aborted", [octets], len(octets) + 1)
    await store.hold("small", on=True)
    assert await store.is_held("small")
    await store.hold("small", on=False)
    assert await names_in(store) == ["in parts", "small"]
    await store.delete(["in parts", "small", "absent"])
    assert await names_in(store) == []
    await store.close()


async def test_another_bucket_is_out_of_reach_and_that_is_told(limited: ObjectsConfig) -> None:
    store = ObjectStore(replace(limited, bucket="of-somebody-else"))
    with pytest.raises(ColdTierUnavailable, match="S3 denies access"):
        await store.get("a", 0, 1)
    with pytest.raises(ObjectsMisconfigured, match="S3 denies access"):
        await store.prepare()
    await store.close()


async def test_a_default_retention_is_refused(minio: ObjectsConfig) -> None:
    config = new_bucket(minio)
    store = ObjectStore(config)
    await store.prepare()
    retention = ObjectLockConfig(GOVERNANCE, 1, DAYS)
    await asyncio.to_thread(another_client(config).set_object_lock_config, config.bucket, retention)
    with pytest.raises(ObjectsMisconfigured, match="retention"):
        await store.prepare()
    await store.close()
