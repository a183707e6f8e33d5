"""The records that a domain needs, for the doors that are open."""

from webmail.operations.dns_records import records
from webmail.pages.doors import Door

IMAPS = Door("incoming", "IMAP", "tls", "127.0.0.1", 20993, is_recommended=True)
SUBMISSION = Door("outgoing", "SMTP", "starttls", "mail.demo.test", 587, is_recommended=False)


def lines(*doors: Door, relay: str | None = None) -> list[str]:
    return [each.line() for each in records("demo.test", "mail.demo.test", doors, ("mail.demo.test", 443), relay=relay)]


def test_mail_comes_to_our_name_and_leaves_from_there() -> None:
    found = lines()
    assert "demo.test. 3600 IN MX 10 mail.demo.test." in found
    assert 'demo.test. 3600 IN TXT "v=spf1 mx -all"' in found


def test_a_relay_sends_for_the_domain() -> None:
    assert 'demo.test. 3600 IN TXT "v=spf1 mx a:relay.example.com ~all"' in lines(relay="relay.example.com")


def test_open_doors_are_named_and_shut_ones_said_to_be_shut() -> None:
    found = lines(IMAPS, SUBMISSION)
    assert "_imaps._tcp.demo.test. 3600 IN SRV 0 1 20993 mail.demo.test." in found
    assert "_submission._tcp.demo.test. 3600 IN SRV 10 1 587 mail.demo.test." in found
    assert "_pop3s._tcp.demo.test. 3600 IN SRV 0 0 0 ." in found


def test_imap_is_preferred_to_pop3_and_tls_from_the_beginning_to_starttls() -> None:
    """RFC 6186 §3.4: by priorities, also between services."""
    doors = [
        Door("incoming", protocol, encryption, "mail.demo.test", 1, is_recommended=False)
        for protocol in ("POP3", "IMAP")
        for encryption in ("starttls", "tls")
    ]
    priorities = {line.partition(".")[0]: int(line.split()[4]) for line in lines(*doors) if "_tcp" in line}
    services = ("_imaps", "_imap", "_pop3s", "_pop3")
    assert sorted(services, key=priorities.__getitem__) == list(services)
    assert len({priorities[each] for each in services}) == len(services)


def test_programs_find_jmap_and_their_files() -> None:
    found = lines()
    assert "_jmap._tcp.demo.test. 3600 IN SRV 0 1 443 mail.demo.test." in found
    assert "autoconfig.demo.test. 3600 IN CNAME mail.demo.test." in found
