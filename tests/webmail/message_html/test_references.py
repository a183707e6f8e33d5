"""What a message refers to, as browsers would read it."""

import pytest

from storage.types import MessageId
from tenants.types import AccountId, TenantId
from webmail.message_html.references import LONGEST_URL, link
from webmail.message_html.signatures import PartImage, Permitted, RemoteImage, image_key, sign, verify


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("http://a.test", "http://a.test"),
        (" HTTPS://a.test/b c?d=é#f\n", "https://a.test/b%20c?d=%C3%A9#f"),
        ("ht\ntp://a.test/", "http://a.test/"),
        ("//a.test/b", "https://a.test/b"),
        ("http://user:secret@a.test/", "http://a.test/"),
        ("http://a.test:8080/'\"<>", "http://a.test:8080/%27%22%3C%3E"),
        ("http://例子.test/", "http://例子.test/"),
        ("http://[::1]/", "http://[::1]/"),
        ("mailto:a@b.test?subject=x y", "mailto:a@b.test?subject=x%20y"),
        ("tel:+86 10 8888", "tel:+86 10 8888"),
        ("http:a.test", None),
        ("http:/a.test", None),
        ("http:\\\\a.test", None),
        ("http://a.test\\@b.test", None),
        ("http://", None),
        ("http://%61.test/", None),
        ("http://./", None),
        ("/path", None),
        ("path", None),
        ("", None),
        ("javascript:alert(1)", None),
        ("java\0script:alert(1)", None),
        ("ftp://a.test/", None),
        ("data:text/html,x", None),
        ("cid:x", None),
        ("http://a.test/" + "x" * LONGEST_URL, None),
    ],
)
def test_a_link_leads_to_the_web_or_a_letter_or_nowhere(written: str, target: str | None) -> None:
    assert link(written) == target


WHO = (TenantId(3), AccountId(2**40 + 7))


@pytest.mark.parametrize(
    "image", [PartImage(MessageId(9), (1, 2, 30)), RemoteImage("http://a.test/é?b=1"), RemoteImage("x")]
)
def test_a_signed_path_says_what_was_signed(image: PartImage | RemoteImage) -> None:
    old, new = image_key(b"old"), image_key(b"new")
    permitted = Permitted(*WHO, image)
    path = sign(old, permitted, 20_000)
    assert verify([new, old], path, 20_001) == permitted
    assert verify([new], path, 20_001) is None
    assert verify([old], path, 20_002) is None
    assert verify([old], path, 19_999) is None


def test_every_character_of_a_signed_path_counts() -> None:
    key = image_key(b"key")
    for image in (PartImage(MessageId(9), (1, 2)), RemoteImage("http://a.test/")):
        path = sign(key, Permitted(*WHO, image), 20_000)
        for at in range(len(path)):
            for other in "2A_./":
                changed = path[:at] + other + path[at + 1 :]
                assert changed == path or verify([key], changed, 20_000) is None
