"""argon2id hashes, and generated passwords that people can type."""

import math

import pytest
from argon2 import PasswordHasher

from tenants.passwords import (
    GENERATED_ALPHABET,
    GENERATED_GROUP_CHARACTERS,
    GENERATED_GROUPS,
    PASSWORD_LIMIT_OCTETS,
    generate_password,
    hash_password,
    hash_password_for_import,
    is_acceptable_hash,
    needs_rehash,
    verify_password,
)


def test_a_hash_verifies_its_password_and_no_other() -> None:
    password_hash = hash_password("correct horse")
    assert password_hash.startswith("$argon2id$")
    assert verify_password(password_hash, "correct horse")
    assert not verify_password(password_hash, "Correct horse")
    assert not verify_password(password_hash, "")


def test_one_password_has_one_hash_however_the_keyboard_composes_it() -> None:
    assert verify_password(hash_password("caf\u00e9 au lait"), "cafe\u0301 au lait")


@pytest.mark.parametrize("damaged", ["", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$!!!!", "plain"])
def test_a_damaged_hash_lets_nobody_in(damaged: str) -> None:
    assert not verify_password(damaged, "plain")


def test_a_password_over_the_limit_is_wrong_before_it_costs_anything() -> None:
    assert not verify_password(hash_password("x"), "x" * (PASSWORD_LIMIT_OCTETS + 1))


def test_a_password_that_is_no_text_is_wrong() -> None:
    assert not verify_password(hash_password("x"), "x\ud800")


def test_imported_hashes_are_renewed_and_own_ones_are_not() -> None:
    imported = hash_password_for_import("correct horse")
    assert verify_password(imported, "correct horse")
    assert needs_rehash(imported)
    assert not needs_rehash(hash_password("correct horse"))


def test_only_argon2id_hashes_of_bearable_cost_are_brought_in() -> None:
    assert is_acceptable_hash(PasswordHasher(1, 1024, 1).hash("x"))
    assert not is_acceptable_hash("$argon2i$v=19$m=8192,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
    assert not is_acceptable_hash("$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
    assert not is_acceptable_hash("$argon2id$v=19$m=8192,t=99,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
    assert not is_acceptable_hash("$argon2id$")
    assert not is_acceptable_hash("$2b$12$abcdefghijklmnopqrstuv")


def test_generated_passwords_have_seventy_bits_and_nothing_to_mistake() -> None:
    password = generate_password()
    groups = password.split("-")
    assert [len(group) for group in groups] == [GENERATED_GROUP_CHARACTERS] * GENERATED_GROUPS
    assert not set("".join(groups)) & set("01oilaeu")
    assert GENERATED_GROUPS * GENERATED_GROUP_CHARACTERS * math.log2(len(GENERATED_ALPHABET)) >= 70
    assert len({generate_password() for _ in range(50)}) == 50
