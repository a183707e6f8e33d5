"""What the pages about programs say."""

import re

from webmail.pages.programs.words import CHINESE, ENGLISH
from webmail.pages.sign_in.words import ENGLISH as ENGLISH_OF_SIGN_IN


def test_both_languages_have_every_word_and_name_the_same_values() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    for key, text in ENGLISH.items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", CHINESE[key])), key


def test_no_word_is_said_twice() -> None:
    assert not ENGLISH.keys() & ENGLISH_OF_SIGN_IN.keys()
