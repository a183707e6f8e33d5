"""The objects of the bucket in a place for backups: which a database needs, those copied there, those put back.

Objects never change and their names never come again, so each is copied once for all backups. What makes the copy
consistent while mail is moved, compacted and collected is its order: the list is read *after* the base backup has
ended. Whatever blobs rested in at that moment is live now, or was doomed meanwhile, and doomed objects stay for days.
"""

import asyncio
import contextlib
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import AsyncConnection

from storage.backup.place import Place
from storage.blobs.objects import ObjectStore
from storage.durable_files import sync_directory
from storage.errors import ContentDamaged, ObjectMissing

AT_ONCE = 4
_PIECE_OCTETS = 8 * 1024 * 1024
_LISTED = "SELECT tenant_id, id, octets, sha256, state = 1 FROM object WHERE state IN (1, 2) ORDER BY tenant_id, id"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that a database knows; `sha256` None: not known. `is_live`: blobs rest in it."""

    tenant_id: int
    id: int
    octets: int
    sha256: bytes | None
    is_live: bool

    @property
    def name(self) -> str:
        return f"{self.tenant_id}/{self.id:016x}"


@dataclass(slots=True)
class Copied:
    """What came of a round over all objects. `damaged`, `missing` and `put` (into the bucket) are names."""

    objects: int = 0
    octets: int = 0
    new: int = 0
    new_octets: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    put: list[str] = field(default_factory=list)


OnProgress = Callable[[int], None]
"""Octets of one more object that is done."""


async def listed(owner: "AsyncConnection[tuple[Any, ...]]") -> AsyncIterator[Listed]:
    """All objects of a database that are live or doomed, on a connection of its owner."""
    async with owner.transaction(), owner.cursor(name="waypost_objects") as cursor:
        cursor.itersize = 5000
        await cursor.execute(_LISTED)
        async for tenant_id, object_id, octets, sha256, is_live in cursor:
            yield Listed(tenant_id, object_id, octets, bytes(sha256) if sha256 is not None else None, is_live)


async def write_list(path: Path, objects: AsyncIterator[Listed]) -> tuple[int, int]:
    """One line each: name, octets, SHA-256 or "-", live or doomed. On disk when this returns; how many, and octets."""
    count = octets = 0
    with path.open("xb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as packed:
            async for each in objects:
                digest = each.sha256.hex() if each.sha256 is not None else "-"
                state = "live" if each.is_live else "doomed"
                packed.write(f"{each.name}\t{each.octets}\t{digest}\t{state}\n".encode())
                count += 1
                octets += each.octets
        file.flush()
        os.fsync(file.fileno())
    return count, octets


def read_list(path: Path) -> Iterator[Listed]:
    with gzip.open(path, "rt", encoding="ascii") as lines:
        for line in lines:
            name, octets, digest, state = line.rstrip("\n").split("\t")
            tenant, _, object_id = name.partition("/")
            sha256 = bytes.fromhex(digest) if digest != "-" else None
            yield Listed(int(tenant), int(object_id, 16), int(octets), sha256, state == "live")


async def copy_here(store: ObjectStore, place: Place, objects: Iterable[Listed], on_progress: OnProgress) -> Copied:
    """Copy what the place does not have yet. Raises ColdTierUnavailable; what was copied until then stays."""
    told = Copied()
    directories: set[Path] = set()

    async def one(each: Listed) -> None:
        target = place.objects / each.name
        told.objects += 1
        if target.exists():
            told.octets += target.stat().st_size
            on_progress(each.octets)
            return
        if target.parent not in directories:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            directories.add(target.parent)
        try:
            octets = await _fetch(store, each, target)
        except ObjectMissing:
            if each.is_live:  # a doomed one may have gone since the list was made
                told.missing.append(each.name)
        except ContentDamaged:
            told.damaged.append(each.name)
        else:
            told.octets += octets
            told.new += 1
            told.new_octets += octets
        on_progress(each.octets)

    await _few_at_once(objects, one)
    for directory in (place.objects, *directories):
        await asyncio.to_thread(sync_directory, directory)
    return told


async def put_back(store: ObjectStore, place: Place, objects: Iterable[Listed], on_progress: OnProgress) -> Copied:
    """Put into the bucket what it lacks of these. Raises ColdTierUnavailable.

    What neither the bucket nor the place has is `missing`; what the place has with other octets is `damaged`.
    """
    told = Copied()

    async def one(each: Listed) -> None:
        told.objects += 1
        facts = await store.facts(each.name)
        if facts is not None and facts.octets == each.octets:
            told.octets += each.octets
            on_progress(each.octets)
            return
        source = place.objects / each.name
        if not source.exists():
            told.missing.append(each.name)
        elif not await asyncio.to_thread(_is_whole, source, each):
            told.damaged.append(each.name)
        else:
            await store.put_pieces(each.name, _pieces(source), source.stat().st_size)
            told.put.append(each.name)
            told.octets += each.octets
            told.new += 1
            told.new_octets += each.octets
        on_progress(each.octets)

    await _few_at_once(objects, one)
    return told


async def forget_holds(owner: "AsyncConnection[tuple[Any, ...]]", names: Iterable[str]) -> None:
    """What was put anew into a bucket is under no hold of S3 yet: upkeep sets it where its row says so no more."""
    ids = [name.split("/") for name in names]
    await owner.execute(
        """
        UPDATE object o SET is_held = false FROM unnest(%s::bigint[], %s::bigint[]) AS u (tenant_id, id)
         WHERE o.tenant_id = u.tenant_id AND o.id = u.id AND o.is_held
        """,
        ([int(tenant) for tenant, _ in ids], [int(object_id, 16) for _, object_id in ids]),
    )


async def fetch_between(source: ObjectStore, target: Place, names: Iterable[Listed]) -> None:
    """Copy objects that another bucket may still have, so that `put_back` finds them; those it lacks too stay away."""

    async def one(each: Listed) -> None:
        path = target.objects / each.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(ObjectMissing, ContentDamaged):
            await _fetch(source, each, path)

    await _few_at_once(names, one)


def forget_unlisted(place: Place, lists: Iterable[Path]) -> tuple[int, int]:
    """Delete copies that no list names; returns how many and their octets. Under the lock of the place."""
    named = {each.name for path in lists for each in read_list(path)}
    gone = octets = 0
    for directory in place.objects.iterdir():
        for path in directory.iterdir():
            if f"{directory.name}/{path.name}" not in named:
                octets += path.stat().st_size
                gone += 1
                path.unlink()
        if not any(directory.iterdir()):
            directory.rmdir()
    return gone, octets


def check_copies(place: Place, objects: Iterable[Listed], on_progress: OnProgress) -> Copied:
    """Read copies again and compare."""
    told = Copied()
    for each in objects:
        path = place.objects / each.name
        told.objects += 1
        if not path.exists():
            if each.is_live:
                told.missing.append(each.name)
        elif not _is_whole(path, each):
            told.damaged.append(each.name)
        told.octets += each.octets
        on_progress(each.octets)
    return told


async def _fetch(store: ObjectStore, each: Listed, target: Path) -> int:
    """To disk under another name first. Raises ContentDamaged when it is not what its row says."""
    octets = each.octets
    if octets == 0:
        facts = await store.facts(each.name)
        if facts is None:
            raise ObjectMissing(each.name)
        octets = facts.octets
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    running = hashlib.sha256()
    try:
        with _new_file(draft) as file:
            for offset in range(0, octets, _PIECE_OCTETS):
                piece = await store.get(each.name, offset, min(_PIECE_OCTETS, octets - offset))
                running.update(piece)
                await asyncio.to_thread(file.write, piece)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if each.sha256 is not None and running.digest() != each.sha256:
            raise ContentDamaged(f"object {each.name}")
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    return octets


def _is_whole(path: Path, each: Listed) -> bool:
    if each.octets and path.stat().st_size != each.octets:
        return False
    if each.sha256 is None:
        return True
    running = hashlib.sha256()
    for piece in _pieces(path):
        running.update(piece)
    return running.digest() == each.sha256


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_OCTETS):
            yield piece


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


async def _few_at_once(objects: Iterable[Listed], work: "Callable[[Listed], Any]") -> None:
    """In the order given, AT_ONCE of them at a time; the first failure ends all."""
    remaining = iter(objects)

    async def take() -> None:
        for each in remaining:
            await work(each)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(take())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
