"""An installation of `make up` from a backup: recovered, in a new epoch, with its objects, under its name at last.

It is built beside its place as a draft: what was interrupted looks like nothing. While mail that was deleted after the
wanted moment has to be found out, a second server runs that was recovered to the end of the WAL.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from deploy.local.child import ServiceFailed
from deploy.local.installation import SOURCE
from deploy.local.objects import Objects, free_ports
from deploy.local.places import Places, make_places, socket_directory, write_private
from deploy.local.postgres import Postgres
from deploy.local.recovery import recover
from storage import outgoing_acts
from storage.backup import object_copies
from storage.backup.object_copies import Copied, Listed
from storage.backup.place import Backup, BackupFailed, Place
from storage.backup.taking import Steps
from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.database import Database, DatabaseConfig
from storage.durable_files import sync_directory
from storage.epochs import (
    EpochsStarted,
    LostTime,
    NothingKnown,
    NothingRemoved,
    count_accounts,
    leap_ids,
    start_epochs,
)
from storage.errors import ColdTierUnavailable, KeyUnusable
from storage.key_files import known_master_fingerprints
from storage.keys import check_tenant_keys

_LEFT_OUT = ("commands.json",)  # what the old supervisor told its commands
_SEED_MARK = "demo.json"
_OBJECT_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """`until` None: to the end of the WAL. `renews`: every mailbox gets a new uidvalidity, whatever is known.
    `tolerates_lost_keys`: tenants without a key stay unreadable, as those that were shredded since."""

    place: Place
    backup: Backup
    to: Path
    secrets: Path
    wal: Path | None
    until: datetime | None
    renews: bool
    tolerates_lost_keys: bool


@dataclass(slots=True)
class Restored:
    """`moment`: of the last transaction. `is_later_known` False: nothing could say what was deleted afterwards."""

    moment: datetime | None = None
    epochs: EpochsStarted = field(default_factory=EpochsStarted)
    held: int = 0
    objects: Copied = field(default_factory=Copied)
    is_later_known: bool = True
    unreadable: list[str] = field(default_factory=list)


class KeysDoNotOpen(BackupFailed):
    """Tenants' keys in the secrets given do not open those of the backup, or are missing."""


def restore_installation(wanted: Wanted, steps: Steps, elsewhere: ObjectStore | None) -> Restored:
    """Make `wanted.to`. `elsewhere`: a bucket that may still have what the place lacks. Raises BackupFailed,
    ServiceFailed, KeyUnusable, NotTheSameMail."""
    if wanted.to.exists() and any(wanted.to.iterdir()):
        raise BackupFailed(f"{wanted.to} is not empty")
    demand_master_key(wanted.secrets, wanted.backup)
    wanted.to.parent.mkdir(parents=True, exist_ok=True)
    draft = wanted.to.with_name(f".{wanted.to.name}.restoring")
    _delete(draft)
    try:
        restored = _build(wanted, draft, steps, elsewhere)
        shutil.rmtree(socket_directory(draft), ignore_errors=True)
        draft.rename(wanted.to)
        sync_directory(wanted.to.parent)
        return restored
    finally:
        _delete(draft)


def demand_master_key(secrets: Path, backup: Backup) -> None:
    """Before anything is unpacked. Raises KeyUnusable."""
    check = backup.facts.master_key_check
    if check and check not in known_master_fingerprints(secrets):
        raise KeyUnusable(f"{secrets} holds another master key than the one this backup was made with")


def _build(wanted: Wanted, draft: Path, steps: Steps, elsewhere: ObjectStore | None) -> Restored:
    restored = Restored()
    places = make_places(draft)
    _copy_secrets(wanted.secrets, places)
    with _recovered(wanted, places, wanted.until, steps, "unpacking", "recovering") as postgres:
        _migrate(postgres, places)
        restored.unreadable = _open_keys(wanted, postgres, places)
        with _later(wanted, draft, restored, steps) as later:
            asyncio.run(_begin_epochs(wanted, postgres, later, restored, steps))
        _restore_objects(wanted, postgres, places, restored, steps, elsewhere)
    write_private(draft / "restored.json", _account_of(wanted, restored))
    return restored


def _copy_secrets(secrets: Path, places: Places) -> None:
    shutil.copytree(secrets, places.secrets, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_LEFT_OUT, ".*"))
    for directory, _, _ in os.walk(places.secrets):
        Path(directory).chmod(0o700)
    if not (places.secrets / _SEED_MARK).exists():  # no demo tenant is to be made beside what was restored
        write_private(places.secrets / _SEED_MARK, json.dumps({"logins": [], "is_complete": True}) + "\n")


@contextlib.contextmanager
def _recovered(
    wanted: Wanted, places: Places, until: datetime | None, steps: Steps, unpacking: str, recovering: str
) -> Iterator[Postgres]:
    with contextlib.ExitStack() as showing:
        tell = showing.enter_context(steps.step(unpacking))

        def begin_recovery() -> None:
            showing.pop_all().close()
            showing.enter_context(steps.step(recovering))

        postgres = recover(
            places, wanted.backup, wal=wanted.wal, until=until, on_unpacked=tell, on_recovery=begin_recovery
        )
    try:
        yield postgres
    finally:
        postgres.stop()


@contextlib.contextmanager
def _later(wanted: Wanted, draft: Path, restored: Restored, steps: Steps) -> Iterator[Postgres | None]:
    """The same installation at the end of its WAL, if that is later than what is wanted."""
    if wanted.until is None or wanted.wal is None or wanted.renews:
        yield None
        return
    places = make_places(draft / ".later")
    with contextlib.ExitStack() as running:
        try:
            later = running.enter_context(
                _recovered(wanted, places, None, steps, "unpacking for a look at what came later", "looking")
            )
        except ServiceFailed:
            restored.is_later_known = False
            yield None
        else:
            yield later
    shutil.rmtree(places.run, ignore_errors=True)
    shutil.rmtree(places.var)


def _migrate(postgres: Postgres, places: Places) -> None:
    """Only what the epochs need; `make up` does the rest."""
    urls = postgres.urls()
    with psycopg.connect(urls.owner) as owner:
        if owner.execute("SELECT to_regproc('leap_ids_v1')").fetchone() != (None,):
            return
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
    told = {
        "WAYPOST_OWNER_DATABASE_URL": urls.owner,
        "WAYPOST_DATABASE_URL": urls.app,
        "WAYPOST_SYSTEM_DATABASE_URL": urls.system,
        "WAYPOST_SECRETS": str(places.secrets),
        "WAYPOST_DATABASE_ROLE": "owner",
    }
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0", "--no-input"]
    done = subprocess.run(command, cwd=SOURCE, env=inherited | told, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackupFailed(f"the tables of the backup cannot be brought up to date: {done.stderr}")


def _open_keys(wanted: Wanted, postgres: Postgres, places: Places) -> list[str]:
    with psycopg.connect(postgres.urls().owner) as owner:
        problems = check_tenant_keys(places.secrets, owner)
    if problems and not wanted.tolerates_lost_keys:
        raise KeysDoNotOpen("\n".join(problems))
    return problems


async def _begin_epochs(
    wanted: Wanted, postgres: Postgres, later: Postgres | None, restored: Restored, steps: Steps
) -> None:
    urls = postgres.urls()
    database = Database(DatabaseConfig(app_url=urls.app, system_url=urls.system))
    await database.open()
    try:
        async with contextlib.AsyncExitStack() as connections:
            owner = await connections.enter_async_context(_connection(urls.owner))
            row = await (await owner.execute("SELECT pg_last_xact_replay_timestamp()")).fetchone()
            restored.moment = row[0] if row else None
            restored.held = await hold_queue(database)
            await leap_ids(owner)
            lost: LostTime | NothingRemoved | NothingKnown = NothingRemoved()
            if wanted.renews or not restored.is_later_known:
                lost = NothingKnown()
            elif later is not None:
                lost = LostTime(await connections.enter_async_context(_connection(later.urls().owner)))
            with steps.step("new epochs") as tell:
                accounts = await count_accounts(database)
                restored.epochs = await start_epochs(database, lost, on_progress=lambda done: tell(done, accounts))
    finally:
        await database.close()


async def hold_queue(database: Database) -> int:
    """What was queued at that moment has left since, or somebody has to say that it has not."""
    return await outgoing_acts.hold(database, outgoing_acts.Chosen())


@contextlib.asynccontextmanager
async def _connection(url: str) -> Any:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


def _restore_objects(
    wanted: Wanted, postgres: Postgres, places: Places, restored: Restored, steps: Steps, elsewhere: ObjectStore | None
) -> None:
    async def live() -> list[Listed]:
        async with _connection(postgres.urls().owner) as owner:
            return [each async for each in object_copies.listed(owner) if each.is_live]

    async def unhold(names: list[str]) -> None:
        async with _connection(postgres.urls().owner) as owner:
            await object_copies.forget_holds(owner, names)

    needed = asyncio.run(live())
    if not needed:
        return
    server = Objects(places, free_ports())
    server.start()
    try:
        access = server.access()
        store = ObjectStore(
            ObjectsConfig(
                url=access.url,
                access_key=access.access_key,
                secret_key=access.secret_key,
                bucket=access.bucket,
                connections=_OBJECT_CONNECTIONS,
            )
        )
        with steps.step("objects") as tell:
            restored.objects = asyncio.run(_put_objects(wanted, store, needed, tell, places, elsewhere))
        asyncio.run(unhold(restored.objects.put))
    finally:
        server.stop()


async def _put_objects(
    wanted: Wanted, store: ObjectStore, needed: list[Listed], tell: Any, places: Places, elsewhere: ObjectStore | None
) -> Copied:
    total, done = sum(each.octets for each in needed), 0

    def one_more(octets: int) -> None:
        nonlocal done
        done += octets
        tell(done, total)

    try:
        await store.prepare()
        copied = await object_copies.put_back(store, wanted.place, needed, one_more)
        if copied.missing and elsewhere is not None:
            passing = Place(places.var / ".passing")
            passing.prepare()
            names = set(copied.missing)
            again = [each for each in needed if each.name in names]
            with contextlib.suppress(ColdTierUnavailable):  # then they stay missing
                await object_copies.fetch_between(elsewhere, passing, again)
            more = await object_copies.put_back(store, passing, again, lambda _octets: None)
            copied.missing, copied.damaged = more.missing, [*copied.damaged, *more.damaged]
            copied.put += more.put
            copied.new += more.new
            copied.new_octets += more.new_octets
            shutil.rmtree(passing.directory)
        return copied
    finally:
        await store.close()


def _account_of(wanted: Wanted, restored: Restored) -> str:
    told = {
        "backup": wanted.backup.facts.label,
        "until": wanted.until.isoformat() if wanted.until else None,
        "moment": restored.moment.isoformat() if restored.moment else None,
        "accounts": restored.epochs.accounts,
        "renumbered": restored.epochs.renumbered,
        "renewed": restored.epochs.renewed,
        "held": restored.held,
        "missing_objects": restored.objects.missing,
        "damaged_objects": restored.objects.damaged,
        "unreadable": restored.unreadable,
    }
    return json.dumps(told, indent=1) + "\n"


def _delete(draft: Path) -> None:
    if draft.exists():
        shutil.rmtree(socket_directory(draft), ignore_errors=True)
        shutil.rmtree(draft)
