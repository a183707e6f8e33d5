"""`manage.py backup` and `restore`: what they say in both languages, and what they refuse."""

import ast
import string
from pathlib import Path

import pytest

from storage.management.backup_wording import CHINESE
from tests.conftest import ROOT, Company, RunningServices

COMMANDS = [ROOT / "storage" / "management" / "commands" / name for name in ("backup.py", "restore.py")]
STEPS = [ROOT / "storage" / "backup" / "taking.py", ROOT / "deploy" / "local" / "restoring.py"]
SAYS = ("tell", "failure", "phrase", "word", "_tell_of_objects")


def said(path: Path, functions: tuple[str, ...]) -> set[str]:
    """The texts that are handed to one of these functions, as they stand in the source."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in functions:
            found |= {
                each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return found


def test_everything_said_is_there_in_chinese() -> None:
    texts = set().union(
        *(said(path, SAYS) for path in COMMANDS), *(said(path, ("step",)) for path in (*COMMANDS, *STEPS))
    )
    assert len(texts) > 30
    assert texts - CHINESE.keys() == set()


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_both_languages_name_the_same_facts(english: str, chinese: str) -> None:
    def names(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}

    assert names(english) == names(chinese)


def test_a_place_without_backups_says_so(services: RunningServices, tmp_path: Path) -> None:
    done = services.manage("backup", "list", "--in", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"There is no backup in {tmp_path}.\n")
    done = services.manage("backup", "check", "--in", str(tmp_path), "--speak", "zh")
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: 备份失败")


def test_a_server_that_sends_no_wal_is_refused_in_words(services: RunningServices, tmp_path: Path) -> None:
    """That of the tests is set up to keep nothing."""
    done = services.manage("backup", "installation", "--to", str(tmp_path))
    assert done.returncode == 1
    assert "WAYPOST_BACKUP_DATABASE_URL is not set" in done.stderr


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ([], "Say --until MOMENT or --latest."),
        (["--until", "2026-11-22 14:00:00+00:00", "--latest"], "Say --until MOMENT or --latest."),
        (["--until", "yesterday"], "yesterday is not a moment"),
        (["--until", "2026-11-22 14:00:00"], "2026-11-22 14:00:00 is not a moment"),
        (["--until", "2100-11-22 14:00:00+00:00"], "2100-11-22 14:00:00+00:00 has not come yet."),
        (["--until", "2026-11-22 14:00:00+00:00"], "--until needs the WAL archive"),
        (["--latest"], "holds no whole backup"),
        (["--latest", "--label", "20200101T000000Z"], "holds no whole backup of the label 20200101T000000Z"),
    ],
)
def test_what_cannot_be_restored_is_refused(
    services: RunningServices, tmp_path: Path, options: list[str], refusal: str
) -> None:
    places = ("--from", str(tmp_path), "--to-var", str(tmp_path / "var"), "--secrets", str(services.secrets))
    done = services.manage("restore", "installation", *places, *options)
    assert done.returncode == 1
    assert refusal in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_new_epochs_for_all_after_a_failover(services: RunningServices, company: Company) -> None:
    who = await company.person()
    assert "say --yes" in services.manage("restore", "epoch").stderr
    before = await epoch_of(company, who.account_id)
    done = services.manage("restore", "epoch", "--yes")
    assert done.returncode == 0, done.stderr
    assert "accounts have a new epoch." in done.stdout
    assert await epoch_of(company, who.account_id) == before + 1
    renewed = services.manage("restore", "epoch", "--yes", "--renew")
    assert "mail programs read everything anew" in renewed.stdout
    again = services.manage("restore", "epoch", "--yes", "--later-url", services.owner_url)
    assert again.returncode == 0, again.stderr  # of a database that stands where ours does nothing is lost


async def epoch_of(company: Company, account_id: int) -> int:
    async with company.database.read(company.tenant_id) as connection:
        rows = await connection.execute("SELECT epoch FROM account_state WHERE account_id = %s", (account_id,))
        row = await rows.fetchone()
    assert row is not None
    return int(row[0])


def test_a_bucket_gets_back_what_the_database_needs(services: RunningServices, tmp_path: Path) -> None:
    done = services.manage("restore", "objects", "--from", str(tmp_path))
    assert done.returncode == 1
    assert "WAYPOST_S3_URL is not set" in done.stderr
