"""The pages speak the reader's language."""

import pytest

from webmail.pages.words import CHINESE, ENGLISH, words_for


@pytest.mark.parametrize(
    ("asked", "accepted", "tag"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("", "en;q=0.3, zh;q=0.8", "zh-Hans"),
        ("", "fr-FR, de;q=0.9", "en"),
        ("", "fr, zh-TW;q=0.5", "zh-Hans"),
        ("", "zh;q=0, en", "en"),
        ("", ";;q=,,=;q=x, zh", "zh-Hans"),
        ("en", "zh-CN", "en"),
        ("zh-hans", "en", "zh-Hans"),
        ("fr", "zh-CN", "zh-Hans"),
    ],
)
def test_the_link_decides_then_the_browser_then_english(asked: str, accepted: str, tag: str) -> None:
    assert words_for(asked, accepted)["tag"] == tag


def test_both_languages_have_every_word() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
