"""The start page tells what the listeners' variables say."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from webmail.pages.doors import doors, web_door


def test_open_doors_are_told_the_recommended_ones_first() -> None:
    found = doors(
        {
            "WAYPOST_HOSTNAME": "mail.demo.test",
            "WAYPOST_IMAP": "0.0.0.0:143",
            "WAYPOST_IMAPS": "0.0.0.0:993",
            "WAYPOST_SUBMISSIONS": "[::]:465",
            "WAYPOST_SUBMISSION": "",
        }
    )
    assert [(door.purpose, door.encryption, door.host, door.port) for door in found] == [
        ("incoming", "tls", "mail.demo.test", 993),
        ("outgoing", "tls", "mail.demo.test", 465),
        ("incoming", "starttls", "mail.demo.test", 143),
    ]


@pytest.mark.parametrize(("listener", "host"), [("127.0.0.1:20993", "127.0.0.1"), ("[::1]:20993", "::1")])
def test_a_door_on_loopback_is_reached_by_its_address(listener: str, host: str) -> None:
    [door] = doors({"WAYPOST_HOSTNAME": "mail.demo.test", "WAYPOST_IMAPS": listener})
    assert (door.host, door.port) == (host, 20993)


def test_a_listener_that_cannot_be_read_is_left_to_its_role() -> None:
    assert doors({"WAYPOST_IMAPS": "nonsense", "WAYPOST_IMAP": "host:port"}) == ()


@pytest.mark.parametrize("wrong", ["imaps", "imaps=993", "telnet=mail.demo.test:23", "imaps=:993"])
def test_what_cannot_be_read_of_the_public_doors_is_refused(wrong: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="WAYPOST_PUBLIC_DOORS"):
        doors({"WAYPOST_PUBLIC_DOORS": wrong})


def test_browsers_come_to_our_name_unless_it_is_said_where() -> None:
    assert web_door({"WAYPOST_HOSTNAME": "mail.demo.test"}) == ("mail.demo.test", 443)
    assert web_door({"WAYPOST_PUBLIC_DOORS": "https=web.demo.test:8443"}) == ("web.demo.test", 8443)
