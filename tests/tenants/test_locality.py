"""Languages and time zones, as they are asked for and as they are kept."""

import pytest

from tenants.errors import LanguageUnknown, TimeZoneUnknown
from tenants.locality import known_language, known_time_zone


@pytest.mark.parametrize("asked", ["zh-hans", "zh", "zh-CN", "zh_CN.UTF-8", "ZH-Hans-CN", "zh-TW"])
def test_whoever_asks_for_chinese_gets_simplified_chinese(asked: str) -> None:
    assert known_language(asked) == "zh-hans"


def test_whoever_asks_for_some_english_gets_english() -> None:
    assert known_language("en_GB.UTF-8") == "en"


@pytest.mark.parametrize("asked", ["fr", "", "C", "english"])
def test_other_languages_are_refused(asked: str) -> None:
    with pytest.raises(LanguageUnknown):
        known_language(asked)


@pytest.mark.parametrize("name", ["Mars/City", "", "../etc/passwd", "Asia", "/etc/localtime", "a\x00b"])
def test_a_time_zone_must_exist(name: str) -> None:
    with pytest.raises(TimeZoneUnknown):
        known_time_zone(name)


def test_a_time_zone_is_kept_by_its_iana_name() -> None:
    assert known_time_zone(" Asia/Shanghai ") == "Asia/Shanghai"
