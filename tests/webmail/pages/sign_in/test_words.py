"""What the pages of signing in say, and how they call browsers and moments."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailserver.services.sign_in_errors import PasskeyProblem
from webmail.pages.programs.words import ENGLISH as ENGLISH_OF_PROGRAMS
from webmail.pages.sign_in.account import NOTICES
from webmail.pages.sign_in.clients import described
from webmail.pages.sign_in.moments import told
from webmail.pages.sign_in.words import CHINESE, ENGLISH
from webmail.pages.words import ENGLISH as ENGLISH_OF_PAGES

TEMPLATES = Path("webmail/pages/templates")


def test_both_languages_have_every_word_and_name_the_same_values() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    for key, text in ENGLISH.items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", CHINESE[key])), key


def test_every_word_that_a_page_says_is_there() -> None:
    known = ENGLISH.keys() | ENGLISH_OF_PAGES.keys() | ENGLISH_OF_PROGRAMS.keys()
    asked = {
        name for path in TEMPLATES.rglob("*.html") for name in re.findall(r"words\.(\w+)", path.read_text("utf-8"))
    }
    assert asked <= known


def test_every_notice_and_problem_has_its_words() -> None:
    assert {f"done_{each}" for each in NOTICES} <= ENGLISH.keys()
    assert {f"passkey_{each}" for each in PasskeyProblem} <= ENGLISH.keys()


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/19.0 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/140 Mobile Safari/537.36 MicroMessenger/8.0", "WeChat on Android"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_are_called_by_their_names(client: str, name: str) -> None:
    assert described(client, ENGLISH["browser_on"], ENGLISH["unknown_client"]) == name


@pytest.mark.parametrize(
    ("zone", "tag", "text"),
    [
        ("UTC", "en", "22 Nov 2026, 17:05"),
        ("Asia/Shanghai", "zh-Hans", "2026年11月23日 01:05"),
        ("Nowhere/Land", "en", "22 Nov 2026, 17:05"),
    ],
)
def test_moments_are_told_in_the_persons_time_zone(zone: str, tag: str, text: str) -> None:
    assert told(datetime(2026, 11, 22, 17, 5, tzinfo=UTC), time_zone=zone, tag=tag) == text
