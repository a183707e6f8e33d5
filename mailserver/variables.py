"""Where settings come from: WAYPOST_* variables of the environment, and the one TOML file that WAYPOST_CONFIG names.

The file holds the same settings, flat, in lower case and without the prefix (`message_limit_octets = 1000`); a variable
of the environment goes before the file. Nothing is judged here, and nothing heavy imported: `__main__` reads this
first.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailserver.settings import ConfigurationInvalid, Problem, show

PREFIX = "WAYPOST_"
FILE_VARIABLE = "WAYPOST_CONFIG"


@dataclass(frozen=True, slots=True)
class Variables:
    """`values` has everything; `from_file` names those that stand in the file."""

    values: Mapping[str, str]
    from_file: frozenset[str]


def read_variables(environment: Mapping[str, str]) -> Variables:
    """Raises ConfigurationInvalid if the file cannot be used."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    path = given.get(FILE_VARIABLE, "").strip()
    in_file = _read_file(Path(path)) if path else {}
    return Variables({**in_file, **given}, frozenset(in_file))


def _read_file(path: Path) -> dict[str, str]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _problem(f"{str(path)!r} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _problem(f"{str(path)!r} is not TOML: {error}") from None
    tables = [key for key, value in document.items() if isinstance(value, dict)]
    if tables:
        raise _problem(f"{str(path)!r} has the table [{tables[0]}]; settings stand flat, as {tables[0]}_… = …")
    return {
        PREFIX + key.upper(): show(tuple(value) if isinstance(value, list) else value)
        for key, value in document.items()
    }


def _problem(wrong: str) -> ConfigurationInvalid:
    return ConfigurationInvalid((Problem(FILE_VARIABLE, wrong, "/etc/waypost/waypost.toml"),))
