"""Every sentence of the commands exists in both languages, with the same facts in it."""

import string

import pytest

from tenants import errors
from tenants.checks import new_address
from tenants.errors import ImportRefused, TenantsError
from tenants.management import reasons, wording
from tenants.management.wording import language_of_terminal, refusal

# Refusals of RCPT, sign-in and pages: no command raises them.
NOT_FOR_ADMINISTRATORS = {
    errors.RecipientUnknown,
    errors.AccountSuspended,
    errors.TenantSuspended,
    errors.SenderNotWelcome,
    errors.ExpansionTooLarge,
    errors.PasskeyTaken,
    ImportRefused,
}
TRANSLATED = [*wording.REFUSALS.items(), *wording.RESERVED.items(), *wording.TAKEN.items()]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_refusal_of_administration_has_words() -> None:
    raised = {
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, TenantsError) and error is not TenantsError
    }
    assert {error for error, _ in TRANSLATED} == raised - NOT_FOR_ADMINISTRATORS


@pytest.mark.parametrize(("english", "chinese"), [*wording.CHINESE.items(), *(words for _, words in TRANSLATED)])
def test_both_languages_tell_the_same_facts(english: str, chinese: str) -> None:
    assert fields(english) == fields(chinese)


@pytest.mark.parametrize(("english", "chinese"), reasons.CHINESE.items())
def test_reasons_are_translated_with_what_varies(english: str, chinese: str) -> None:
    assert english.count("{}") == chinese.count("{}")
    facts = [f"<{n}>" for n in range(english.count("{}"))]
    assert reasons.reason("zh-hans", english.format(*facts)) == chinese.format(*facts)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1000,
        "ann",
        "@x.test",
        "ann@",
        "a..n@x.test",
        '"ann@x.test',
        "a\u200b@x.test",
        "x" * 65 + "@x.test",
        "ann@[1.2.3]",
        "ann@" + "x" * 256,
        "ann@" + "x" * 64,
        "ann@a_b.test",
        "ann@\u2028.test",
        "ann@localhost",
        "ann@192.0.2.1",
        '"ann"@x.test',
        "a+b@x.test",
    ],
)
def test_every_reason_to_refuse_an_address_is_translated(text: str) -> None:
    with pytest.raises(errors.AddressInvalid) as refused:
        new_address(text)
    assert reasons.reason("zh-hans", refused.value.reason) != refused.value.reason


def test_a_reason_nobody_translated_is_given_in_english() -> None:
    assert reasons.reason("zh-hans", "the moon is full") == "the moon is full"


def test_a_refusal_is_one_line_in_the_readers_language() -> None:
    error = errors.AddressInvalid("ann", "it has no @")
    assert refusal("en", error) == "'ann' is not a mail address: it has no @."
    assert refusal("zh-hans", error) == "“ann”不是有效的邮件地址：缺少 @。"


def test_the_terminal_says_which_language_is_spoken() -> None:
    assert language_of_terminal({"LANG": "zh_CN.UTF-8"}) == "zh-hans"
    assert language_of_terminal({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}) == "en"
    assert language_of_terminal({"LANG": "fr_FR.UTF-8"}) == "en"
    assert language_of_terminal({}) == "en"
