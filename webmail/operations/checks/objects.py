"""The bucket in S3: whether it can be used, and whether S3 keeps what is under legal hold."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg

from mailserver.config import Config
from storage.blobs.object_faults import ObjectsMisconfigured
from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.errors import ColdTierUnavailable, StorageError
from storage.object_holds import held_tenants
from webmail.operations.findings import Finding, Patient, fine, problem, warning

PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class _Bucket:
    has_object_lock: bool


def check_objects(patient: Patient) -> Iterator[Finding]:
    if not patient.config.objects.is_on:
        yield warning("There is no S3 (WAYPOST_S3_URL): all content rests in Postgres")
        return
    try:
        bucket = asyncio.run(_try_bucket(patient.config))
    except ObjectsMisconfigured as wrong:
        yield problem("S3 cannot be used: {reason}", reason=wrong)
    except ColdTierUnavailable as away:
        yield problem("S3 is away: {reason}; what rests there cannot be read", reason=away.reason)
    else:
        yield fine("S3 takes, gives back and deletes objects")
        yield from _look_at_holds(patient.config, bucket)


def _look_at_holds(config: Config, bucket: _Bucket) -> Iterator[Finding]:
    if bucket.has_object_lock:
        yield fine("The bucket has Object Lock: S3 keeps what is under legal hold")
        return
    try:
        held = asyncio.run(_held(config))
    except (StorageError, psycopg.Error):
        held = 0  # the checks of the database have said why
    if held:
        text = "{count} tenants are under legal hold, and a bucket without Object Lock does not keep what is held"
        yield problem(text, count=held)
    else:
        yield warning(
            "The bucket has no Object Lock, and it cannot be added: a legal hold would be kept by Waypost alone"
        )


async def _try_bucket(config: Config) -> _Bucket:
    patience = min(config.objects.read_timeout_s, PATIENCE_S)
    store = ObjectStore(replace(config.objects, read_timeout_s=patience, attempts=2))
    try:
        await store.probe()
        return _Bucket(await store.has_object_lock())
    finally:
        await store.close()


async def _held(config: Config) -> int:
    database = Database(config.database)
    try:
        return len(await held_tenants(database))
    finally:
        await database.close()
