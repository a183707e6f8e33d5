"""`python -m deploy.local up|down|reset`: what `make up`, `make down` and `make reset` run."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from deploy.local.child import ServiceFailed
from deploy.local.installation import Installation, SettingInvalid, read_installation
from deploy.local.lock import AlreadyRunning, acquire_lock, holder
from deploy.local.places import make_places, socket_directory
from storage.errors import KeyUnusable

_STOP_DEADLINE_S = 120.0
_OURS = ("postgres", "postgres.new", "wal-archive", "objects", "redis", "secrets", "tls", "log", "run")
_OUR_FILES = ("endpoints.json", "migrated", "restored.json", "lock")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    parser.add_argument("act", choices=["up", "down", "reset"])
    options = parser.parse_args(arguments)
    try:
        installation = read_installation(os.environ)
        match options.act:
            case "up":
                return up(installation)
            case "down":
                return down(installation.var)
            case _:
                return reset(installation.var, asks=os.environ.get("YES", "") != "1")
    except (SettingInvalid, AlreadyRunning, ServiceFailed, KeyUnusable) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except PermissionError as error:
        print(f"{error.filename} belongs to another user: {error.strerror}", file=sys.stderr)
        return 1


def up(installation: Installation) -> int:
    """In the foreground until a signal. Raises AlreadyRunning, ServiceFailed."""
    from deploy.local.screen import Screen, language_of
    from deploy.local.supervisor import Supervisor

    places = make_places(installation.var)
    lock = acquire_lock(places.var)

    async def supervise() -> int:
        return await Supervisor(installation, places, Screen(language_of(os.environ))).run()

    try:
        return asyncio.run(supervise())
    finally:
        lock.release()


def down(var: Path) -> int:
    """Ask the running supervisor to stop, and wait until it has."""
    pid = holder(var)
    if pid is None:
        print(f"Nothing runs on {var}.")
        return 0
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_DEADLINE_S
    while holder(var) == pid:
        if time.monotonic() > end:
            print(f"The supervisor (pid {pid}) has not stopped after {_STOP_DEADLINE_S:.0f} s.", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print(f"Stopped what ran on {var}.")
    return 0


def reset(var: Path, *, asks: bool) -> int:
    """Delete what `up` made in `var`, and nothing else there. Refuses while it runs."""
    if (pid := holder(var)) is not None:
        raise AlreadyRunning(var, pid)
    found = [var / name for name in (*_OURS, *_OUR_FILES) if (var / name).exists()]
    if not found:
        print(f"Nothing to delete in {var}.")
        return 0
    if asks and not _agrees(f"Delete all mail, accounts and keys in {var}? 删除其中全部邮件、账号和密钥？ [y/N] "):
        print("Nothing was deleted. 未删除任何内容。", file=sys.stderr)
        return 1
    for path in (*found, socket_directory(var)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not any(var.iterdir()):
        var.rmdir()
    print(f"Deleted the data in {var}.")
    return 0


def _agrees(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes", "是")
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
