"""Makes the tenant demo.test once: its people with random passwords, and their mail, through the services.

    python -m deploy.local.seed        with the variables of a management command

The passwords are in `demo.json` of the secrets directory (0600) before the accounts exist, and how far each mailbox has
come is written there as it fills, so a start that was interrupted goes on where it stopped, within a few messages.
"""

import asyncio
import datetime as dt
import json
import os
import random
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from deploy.local.demo import DemoMessage, demo_messages
from deploy.local.demo_content.people import ADMINISTRATOR, COMPANY_CHINESE, COMPANY_ENGLISH, DOMAIN, PEOPLE
from deploy.local.endpoints import Login
from deploy.local.places import write_private

_WRITE_EVERY = 20
_ZONES = {"en": "Europe/Berlin", "zh": "Asia/Shanghai"}
_LANGUAGES = {"en": "en", "zh": "zh-hans"}


def is_seeded(secrets: Path) -> bool:
    return bool(_read(secrets).get("is_complete"))


def read_logins(secrets: Path) -> list[Login]:
    """The people and their passwords; none before the first seeding."""
    return [Login(login["address"], login["password"]) for login in _read(secrets).get("logins", ())]


def seed_demo(secrets: Path) -> None:
    """Go on from wherever the last call came to. Django must be set up, as the owner of the database."""
    told = _read(secrets) or _begin(secrets)
    passwords = {login["address"]: login["password"] for login in told["logins"]}
    _make_people(passwords)
    messages = demo_messages(dt.datetime.fromisoformat(told["began_at"]), told["seed"])
    asyncio.run(_fill(secrets, told, messages))
    told["is_complete"] = True
    _write(secrets, told)


def _begin(secrets: Path) -> dict[str, Any]:
    from tenants.passwords import generate_password

    logins = [{"address": person.address, "password": generate_password()} for person in PEOPLE.values()]
    told = {
        "logins": logins,
        "began_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "seed": random.getrandbits(32),
        "filled": {},
        "is_complete": False,
    }
    _write(secrets, told)
    return told


def _make_people(passwords: dict[str, str]) -> None:
    from django.core.management import call_command

    from tenants.errors import AccountNotFound, TenantNotFound
    from tenants.selectors import find_account, find_tenant
    from tenants.services import AccountChange, add_account, set_account

    try:
        find_tenant(DOMAIN)
    except TenantNotFound:
        name = f"{COMPANY_CHINESE} {COMPANY_ENGLISH}"
        call_command("tenant", "add", DOMAIN, "--name", name, "--language", "zh-hans", "--time-zone", "Asia/Shanghai")
    for key, person in PEOPLE.items():
        password = passwords[person.address]
        try:
            find_account(person.address)
        except AccountNotFound:
            add_account(
                person.address,
                password=password,
                name=person.name,
                is_administrator=key == ADMINISTRATOR,
                language=_LANGUAGES[person.language],
                time_zone=_ZONES[person.language],
            )
        else:
            set_account(person.address, AccountChange(password=password))


async def _fill(secrets: Path, told: dict[str, Any], messages: Sequence[DemoMessage]) -> None:
    from mailserver.services.mailboxes import create
    from mailserver.services.messages import append
    from storage.blobs.hot import HotBlobs
    from storage.blobs.tiered import TieredBlobs
    from storage.database import Database, DatabaseConfig
    from storage.errors import MailboxExists
    from storage.keys import KeyRing
    from storage.sign_in import find_login
    from storage.store import MailStore
    from tenants.addresses import parse_address
    from tenants.types import Principal

    database = Database(DatabaseConfig(os.environ["WAYPOST_DATABASE_URL"], os.environ["WAYPOST_SYSTEM_DATABASE_URL"]))
    await database.open()
    store = MailStore(database, KeyRing(secrets, database), TieredBlobs(HotBlobs()), lambda *_: None)

    async def principal(address: str) -> Principal:
        async with database.directory() as connection:
            record = await find_login(connection, parse_address(address))
        if record is None:
            raise LookupError(f"{address} has no account")
        return Principal(
            tenant_id=record.tenant_id,
            account_id=record.account_id,
            address=record.address,
            display_name=record.display_name,
            language=record.language,
            time_zone=record.time_zone,
            quota_octets=record.quota_octets,
            is_administrator=record.is_administrator,
        )

    async def fill(address: str, copies: Sequence[DemoMessage]) -> None:
        who = await principal(address)
        for folder in sorted({copy.folder for copy in copies}):
            if folder not in ("INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"):
                try:
                    await create(store, who, folder)
                except MailboxExists:
                    continue
        for number in range(told["filled"].get(address, 0), len(copies)):
            copy = copies[number]
            await append(store, who, copy.folder, copy.octets, flags=copy.flags, received_at=copy.received_at)
            if (number + 1) % _WRITE_EVERY == 0 or number + 1 == len(copies):
                told["filled"][address] = number + 1
                _write(secrets, told)

    try:
        by_recipient = sorted(messages, key=lambda copy: copy.recipient)  # stable: by time within each
        async with asyncio.TaskGroup() as group:
            for address, copies in groupby(by_recipient, key=lambda copy: copy.recipient):
                group.create_task(fill(address, list(copies)))
    finally:
        await database.close()


def _read(secrets: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((secrets / "demo.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return told


def _write(secrets: Path, told: dict[str, Any]) -> None:
    write_private(secrets / "demo.json", json.dumps(told, ensure_ascii=False, indent=2) + "\n")


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
    os.environ.setdefault("WAYPOST_DATABASE_ROLE", "owner")
    import django

    django.setup()
    seed_demo(Path(os.environ["WAYPOST_SECRETS"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
