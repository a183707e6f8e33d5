"""Whatever the mail store refuses has a word of JMAP."""

from storage.errors import (
    ColdTierUnavailable,
    KeyUnusable,
    MasterKeyMissing,
    ObjectMissing,
    StorageError,
    StoreUnavailable,
)
from webmail.jmap.refusals import METHOD_ERRORS, method_error


def every(refusal: type[StorageError]) -> set[type[StorageError]]:
    return {refusal}.union(*(every(each) for each in refusal.__subclasses__()))


def test_every_refusal_of_the_store_is_in_the_table() -> None:
    named = {each for each in every(StorageError) if each.__module__ == "storage.errors"} - {StorageError}
    assert {each for each in named if not any(parent in METHOD_ERRORS for parent in each.__mro__)} == set()


def test_what_passes_is_told_to_pass_and_nothing_of_it_is_shown() -> None:
    for refusal in (StoreUnavailable("at 10.0.0.1"), ColdTierUnavailable("bucket x"), MasterKeyMissing("/var/secrets")):
        error = method_error(refusal)
        assert error.kind == "serverUnavailable"
        assert error.description == "try again later"
    assert method_error(ObjectMissing("7/0001")).kind == "serverFail"
    assert method_error(KeyUnusable()).kind == "serverUnavailable"
