"""Whether the tables may be behind the code: a fingerprint of every migration, kept beside the database it describes.

Starting Django only to hear that nothing is to be done costs a second of every start.
"""

import hashlib
from pathlib import Path

import django

from deploy.local.installation import SOURCE
from deploy.local.places import write_private

_PACKAGES = ("tenants", "storage")


def needs_migration(var: Path) -> bool:
    try:
        return (var / "migrated").read_text("ascii").strip() != _fingerprint()
    except FileNotFoundError:
        return True


def mark_migrated(var: Path) -> None:
    write_private(var / "migrated", _fingerprint() + "\n")


def _fingerprint() -> str:
    running = hashlib.sha256(django.get_version().encode("ascii"))
    for path in [SOURCE / "webmail" / "settings.py", *_migrations()]:
        running.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return running.hexdigest()


def _migrations() -> list[Path]:
    found: list[Path] = []
    for package in _PACKAGES:
        found += (path for path in (SOURCE / package / "migrations").rglob("*") if path.suffix in (".py", ".sql"))
    return sorted(found)
