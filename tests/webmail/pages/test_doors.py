"""The start page tells what the listeners' variables say."""

import pytest

from webmail.pages.doors import doors


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
