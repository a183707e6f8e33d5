"""The bucket of the settings, for commands that copy objects."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from storage.blobs.objects import ObjectsConfig, ObjectStore


def bucket_of(environment: Mapping[str, str]) -> ObjectsConfig | None:
    """None: no bucket is named. Raises ValueError with a sentence."""
    url = environment.get("WAYPOST_S3_URL", "")
    if not url:
        return None
    ca_file = environment.get("WAYPOST_S3_CA_FILE", "")
    return ObjectsConfig(
        url=url,
        access_key=environment.get("WAYPOST_S3_ACCESS_KEY", ""),
        secret_key=environment.get("WAYPOST_S3_SECRET_KEY", ""),
        bucket=environment.get("WAYPOST_S3_BUCKET", "") or "waypost",
        region=environment.get("WAYPOST_S3_REGION", "") or "us-east-1",
        ca_file=Path(ca_file) if ca_file else None,
    )


@contextlib.contextmanager
def opened(config: ObjectsConfig | None) -> Iterator[ObjectStore | None]:
    if config is None:
        yield None
        return
    store = ObjectStore(config)
    try:
        yield store
    finally:
        asyncio.run(store.close())
