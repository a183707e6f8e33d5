"""Where a verification stands, so that it can go on after it was stopped (pure but for its file)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from storage.verification.slices import Slice
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class Position:
    """In which tenant, in which part, and after what in it: an account, a message, a digest or an object, as text."""

    tenant_id: TenantId
    part: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    slice: Slice
    position: Position


def save_progress(path: Path, progress: Progress) -> None:
    """Whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(
        json.dumps(
            {
                "start": progress.slice.start,
                "share": progress.slice.share,
                "tenant": progress.position.tenant_id,
                "part": progress.position.part,
                "after": progress.position.after,
            }
        )
    )
    os.replace(draft, path)


def read_progress(path: Path) -> Progress | None:
    """None: there is no such file. Raises ValueError for one of something else."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    try:
        return Progress(
            Slice(float(found["start"]), float(found["share"])),
            Position(TenantId(int(found["tenant"])), str(found["part"]), str(found["after"])),
        )
    except (KeyError, TypeError):
        raise ValueError(f"{path} does not say where a verification was") from None
