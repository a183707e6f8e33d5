"""What a check of the installation found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailserver.config import Config


class Level(StrEnum):
    """`problem`: it does not work, or must not be used so. `warning`: it works, and somebody should look."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` is an English sentence with `{names}` of `values`; the catalogue of `wording` has it in Chinese."""

    level: Level
    text: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `owner_url` is empty where the caller has no rights of the owner."""

    config: Config
    owner_url: str
    ca_file: str
    is_production: bool


Check = Callable[[Patient], Iterator[Finding]]


def fine(text: str, **values: object) -> Finding:
    return Finding(Level.FINE, text, values)


def warning(text: str, **values: object) -> Finding:
    return Finding(Level.WARNING, text, values)


def problem(text: str, **values: object) -> Finding:
    return Finding(Level.PROBLEM, text, values)
