"""`manage.py migrate` beside mail: it waits for no lock for long, and says who has it."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

import psycopg
import pytest

from storage.store import MailStore
from tests.conftest import ROOT, Company, RunningServices
from tests.someone import Someone
from tests.storage.migrating import to_come

MIGRATION = "0033_threads_of_removed"
"""It wants account_state for a moment."""
_WORK = "UPDATE account_state SET modseq = modseq WHERE tenant_id = %s AND account_id = %s"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("C.UTF-8", ["Try 2 of 2", "Again in 0.05 s", "RowExclusiveLock on account_state; wanted is ExclusiveLock"]),
        ("zh_CN.UTF-8", ["第 2 次尝试（共 2 次）", "0.05 秒后重试", "account_state 上的 RowExclusiveLock"]),
    ],
    ids=["English", "Chinese"],
)
async def test_it_gives_up_and_says_who_is_in_the_way(
    services: RunningServices,
    store: MailStore,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    words: list[str],
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    ada = Someone(store, await company.person("ada"))
    with to_come(services, MIGRATION):
        async with await psycopg.AsyncConnection.connect(services.app_url, application_name="night work") as holder:
            await holder.execute("SELECT set_config('waypost.tenant', %s, false)", (str(ada.who.tenant_id),))
            await holder.execute(_WORK, (ada.who.tenant_id, ada.who.account_id))
            given_up = await asyncio.to_thread(
                services.manage, "migrate", "storage", "--lock-timeout", "0.4", "--tries", "2", "--pause", "0.05"
            )
            process = str(holder.info.backend_pid)
        assert given_up.returncode != 0
        for word in [process, "waypost_app", "night work", *words]:
            assert word in given_up.stderr, given_up.stderr
        assert "UPDATE" not in given_up.stderr, "what others do is not told"
        assert "Traceback" not in given_up.stderr
        done = await asyncio.to_thread(services.manage, "migrate", "storage", MIGRATION, "--verbosity", "0")
    assert done.returncode == 0, done.stderr


async def test_mail_goes_on_while_it_tries_and_it_is_done_when_the_lock_is_free(
    services: RunningServices, store: MailStore, company: Company
) -> None:
    ada, grace = [Someone(store, await company.person(name)) for name in ("ada", "grace")]
    arguments = ["migrate", "storage", MIGRATION, "--lock-timeout", "0.3", "--tries", "500", "--pause", "0.05"]
    with to_come(services, MIGRATION):
        async with store.database.transaction(ada.who.tenant_id) as connection:
            await connection.execute(_WORK, (ada.who.tenant_id, ada.who.account_id))
            migrating = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / "manage.py"),
                *arguments,
                cwd=ROOT,
                env={**services.environment(), "LC_ALL": "C.UTF-8"},
                stdout=DEVNULL,
                stderr=PIPE,
            )
            assert migrating.stderr is not None
            while b"Again in" not in (line := await migrating.stderr.readline()):
                assert line, "it is over"
            await grace.receive()
            assert migrating.returncode is None
        _, told = await migrating.communicate()
    assert migrating.returncode == 0, told.decode()
