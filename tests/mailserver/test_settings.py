"""Config dataclasses read from named values."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from mailserver.listeners import Endpoint
from mailserver.settings import ConfigurationInvalid, from_environment, settings_of, unknown_among


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class LineConfig:
    limit_octets: int = 998  # longest line that is read
    timeout_s: float = 300.0

    def __post_init__(self) -> None:
        if self.timeout_s > self.limit_octets:
            raise ValueError("timeout_s is above limit_octets")


@dataclass(frozen=True, slots=True)
class FenceConfig:
    OAK: ClassVar[str] = "oak"

    height_m: int
    posts: str


@dataclass(frozen=True, slots=True)
class HouseConfig:
    name: str
    # how many live there,
    # children too
    people: int = field(default=4, metadata={"least": 1, "most": 9})
    is_open: bool = True
    door: Endpoint | None = None
    rooms: tuple[str, ...] = ("hall",)
    ports: tuple[int, ...] = ()
    style: Literal["plain", "grand"] = "plain"
    colour: Colour = Colour.RED
    cellar: Path | None = None
    api_key: str = field(default="", metadata={"help": "opens the gate"})
    lines: LineConfig = field(default_factory=LineConfig, metadata={"variables": {"timeout_s": "X_TIMEOUT_S"}})
    fence: FenceConfig = FenceConfig(height_m=2, posts=FenceConfig.OAK)


def test_every_type_is_read_from_its_text() -> None:
    values = {
        "X_NAME": " Mill ",
        "X_PEOPLE": "7",
        "X_IS_OPEN": "No",
        "X_DOOR": "[::1]:143",
        "X_ROOMS": "hall, kitchen",
        "X_PORTS": "1,2",
        "X_STYLE": "grand",
        "X_COLOUR": "blue",
        "X_CELLAR": "/srv/cellar",
        "X_LINES_LIMIT_OCTETS": "2000",
        "X_TIMEOUT_S": "1.5",
        "X_FENCE_POSTS": "pine",
        "UNRELATED": "yes",
    }
    assert from_environment(HouseConfig, "X_", values) == HouseConfig(
        name="Mill",
        people=7,
        is_open=False,
        door=Endpoint("::1", 143),
        rooms=("hall", "kitchen"),
        ports=(1, 2),
        style="grand",
        colour=Colour.BLUE,
        cellar=Path("/srv/cellar"),
        lines=LineConfig(2000, 1.5),
        fence=FenceConfig(height_m=2, posts="pine"),
    )


def test_what_is_not_set_or_empty_keeps_its_default() -> None:
    assert from_environment(HouseConfig, "X_", {"X_NAME": "Mill", "X_DOOR": "", "X_PEOPLE": " "}) == HouseConfig("Mill")


@pytest.mark.parametrize(
    ("variable", "text", "wrong"),
    [
        ("X_NAME", "", "must be set"),
        ("X_PEOPLE", "four", "'four' is not a whole number"),
        ("X_PEOPLE", "0", "'0' is less than 1"),
        ("X_PEOPLE", "10", "'10' is more than 9"),
        ("X_IS_OPEN", "maybe", "'maybe' is neither yes nor no"),
        ("X_DOOR", "143", "'143' is not host:port"),
        ("X_DOOR", "localhost:imap", "'localhost:imap' has no port between 1 and 65535"),
        ("X_DOOR", "::1:143", "'::1:143' is not host:port; an IPv6 host needs brackets, [::1]:143"),
        ("X_PORTS", "1,x", "'1,x' is not a whole number"),
        ("X_STYLE", "modest", "'modest' is none of plain, grand"),
        ("X_COLOUR", "green", "'green' is none of red, blue"),
        ("X_LINES_LIMIT_OCTETS", "-1", "'-1' is less than 0"),
        ("X_TIMEOUT_S", "nan", "'nan' is not a number"),
        ("X_TIMEOUT_S", "inf", "'inf' is not a number"),
    ],
)
def test_a_bad_value_is_named_with_what_is_wrong(variable: str, text: str, wrong: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refusal:
        from_environment(HouseConfig, "X_", {"X_NAME": "Mill", variable: text})
    [problem] = refusal.value.problems
    assert (problem.variable, problem.wrong) == (variable, wrong)
    assert f"for example {variable}=" in str(problem)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationInvalid) as refusal:
        from_environment(HouseConfig, "X_", {"X_PEOPLE": "x", "X_TIMEOUT_S": "y", "X_COLOUR": "z"})
    assert [problem.variable for problem in refusal.value.problems] == ["X_NAME", "X_PEOPLE", "X_COLOUR", "X_TIMEOUT_S"]


def test_values_that_contradict_each_other_name_their_group() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"X_LINES_…: timeout_s is above limit_octets"):
        from_environment(HouseConfig, "X_", {"X_NAME": "Mill", "X_LINES_LIMIT_OCTETS": "10"})


def test_the_value_of_a_secret_is_not_repeated_in_the_problem() -> None:
    @dataclass(frozen=True)
    class SafeConfig:
        pin_key: int

    with pytest.raises(ConfigurationInvalid) as refusal:
        from_environment(SafeConfig, "X_", {"X_PIN_KEY": "hunter2"})
    assert "hunter2" not in str(refusal.value)
    assert "X_PIN_KEY: its value is not a whole number" in str(refusal.value)


def test_the_list_of_settings_has_defaults_and_meanings() -> None:
    listed = {setting.variable: setting for setting in settings_of(HouseConfig, "X_")}
    assert listed["X_NAME"].default is None
    assert (listed["X_PEOPLE"].default, listed["X_PEOPLE"].meaning) == ("4", "how many live there, children too")
    assert (listed["X_STYLE"].kind, listed["X_DOOR"].kind, listed["X_PORTS"].kind) == (
        "plain|grand",
        "endpoint",
        "whole number,…",
    )
    assert listed["X_API_KEY"].meaning == "opens the gate"
    assert listed["X_API_KEY"].is_secret
    assert not listed["X_NAME"].is_secret
    assert listed["X_TIMEOUT_S"].default == "300.0"
    assert listed["X_FENCE_HEIGHT_M"].default == "2"


def test_a_misspelt_setting_is_found_with_the_one_that_was_meant() -> None:
    known = settings_of(HouseConfig, "X_")
    names = {"X_PEOPEL": "3", "X_SOMETHING_ELSE": "1", "X_PEOPLE": "3", "PATH": "/bin"}
    assert unknown_among(names, known, "X_") == {"X_PEOPEL": "X_PEOPLE", "X_SOMETHING_ELSE": None}
