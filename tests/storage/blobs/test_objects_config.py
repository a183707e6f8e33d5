"""Which settings of S3 make sense."""

from typing import Any

import pytest

from storage.blobs.objects_config import ObjectsConfig

RIGHT: dict[str, Any] = {"url": "http://127.0.0.1:9000", "access_key": "waypost", "secret_key": "hush"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "https://s3.example.com", "https://s3.example.com:9000/"])
def test_a_server_is_named_by_its_url(url: str) -> None:
    assert ObjectsConfig(**{**RIGHT, "url": url}).is_on


def test_without_a_url_there_is_none_and_nothing_else_is_asked_for() -> None:
    assert not ObjectsConfig().is_on


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"url": "s3.example.com:9000"}, "http://host:port"),
        ({"url": "https://s3.example.com/bucket"}, "without a path"),
        ({"url": "ftp://s3.example.com"}, "http://host:port"),
        ({"access_key": ""}, "an access key and a secret key are needed"),
        ({"secret_key": ""}, "an access key and a secret key are needed"),
        ({"bucket": "No_Bucket"}, "name of a bucket"),
        ({"bucket": "ab"}, "name of a bucket"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        ObjectsConfig(**{**RIGHT, **changes})


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(ObjectsConfig(**RIGHT))
