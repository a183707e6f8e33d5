"""What Thunderbird and Outlook are told, and what becomes of requests that are none."""

from xml.etree import ElementTree

import pytest
from django.test import AsyncRequestFactory

from webmail.pages.autoconfig import ASKED_LIMIT_OCTETS, OUTLOOK, asked_address, autoconfig, autodiscover
from webmail.pages.discovery import autoconfiguration, autodiscovery
from webmail.pages.doors import Door, doors

DOORS = (
    Door("incoming", "POP3", "tls", "mail.demo.test", 995, is_recommended=False),
    Door("incoming", "IMAP", "starttls", "mail.demo.test", 143, is_recommended=False),
    Door("incoming", "IMAP", "tls", "mail.demo.test", 993, is_recommended=True),
    Door("outgoing", "SMTP", "tls", "mail.demo.test", 465, is_recommended=True),
)


def read(octets: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(octets)  # noqa: S314  our own


REQUEST = b"""<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>ann@demo.test</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>"""


def test_thunderbird_is_told_imap_over_tls_first() -> None:
    root = read(autoconfig(DOORS, "demo.test", "mail.demo.test"))
    incoming = root.findall("./emailProvider/incomingServer")
    assert [(server.get("type"), server.findtext("port"), server.findtext("socketType")) for server in incoming] == [
        ("imap", "993", "SSL"),
        ("imap", "143", "STARTTLS"),
        ("pop3", "995", "SSL"),
    ]
    outgoing = root.find("./emailProvider/outgoingServer")
    assert outgoing is not None
    assert (outgoing.findtext("hostname"), outgoing.findtext("username")) == ("mail.demo.test", "%EMAILADDRESS%")
    assert root.findtext("./emailProvider/domain") == "demo.test"


def test_outlook_is_told_each_protocol_with_its_login_name() -> None:
    root = read(autodiscover(DOORS, "ann@demo.test"))
    space = f"{{{OUTLOOK}}}"
    protocols = root.findall(f".//{space}Protocol")
    assert [(each.findtext(f"{space}Type"), each.findtext(f"{space}Port")) for each in protocols] == [
        ("IMAP", "993"),
        ("SMTP", "465"),
        ("IMAP", "143"),
        ("POP3", "995"),
    ]
    assert {each.findtext(f"{space}LoginName") for each in protocols} == {"ann@demo.test"}


def test_an_address_is_written_as_text_whatever_it_holds() -> None:
    address = '"a<b>&\'"@demo.test'
    assert (
        f">{address.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}<"
        in autodiscover(DOORS, address).decode()
    )


def test_the_address_of_a_request_is_found() -> None:
    assert asked_address(REQUEST) == "ann@demo.test"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<Autodiscover/>",
        REQUEST.replace(b"ann@demo.test", b"nobody"),
        REQUEST.replace(b"<Request>", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Request>'),
        REQUEST + b" " * ASKED_LIMIT_OCTETS,
        b'<?xml version="1.0" encoding="no-such"?><a/>',
    ],
)
def test_what_is_no_request_names_nobody(body: bytes) -> None:
    assert asked_address(body) is None


async def test_outlook_gets_its_own_kind_of_refusal() -> None:
    factory = AsyncRequestFactory()
    for request in (
        factory.get("/autodiscover/autodiscover.xml"),
        factory.post("/autodiscover/autodiscover.xml", b"nonsense", content_type="text/xml"),
    ):
        response = await autodiscovery(request)
        assert (response.status_code, b"<ErrorCode>600</ErrorCode>" in response.content) == (200, True)


async def test_files_are_served_with_and_without_an_address() -> None:
    factory = AsyncRequestFactory()
    for query, domain in (({}, ""), ({"emailaddress": "ann@demo.test"}, "demo.test"), ({"emailaddress": "<"}, "")):
        response = await autoconfiguration(factory.get("/mail/config-v1.1.xml", query))
        assert response.status_code == 200
        assert read(response.content).findtext("./emailProvider/domain") == (domain or "Waypost")


def test_what_people_reach_from_outside_is_what_they_are_told() -> None:
    found = doors(
        {
            "WAYPOST_HOSTNAME": "mail.demo.test",
            "WAYPOST_IMAPS": "127.0.0.1:20993",
            "WAYPOST_PUBLIC_DOORS": "imaps=mail.demo.test:993, submission=smtp.demo.test:587",
        }
    )
    assert [(door.protocol, door.host, door.port) for door in found] == [
        ("IMAP", "mail.demo.test", 993),
        ("SMTP", "smtp.demo.test", 587),
    ]


def test_declarations_are_refused_however_they_are_encoded() -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE r [<!ENTITY a "ann@demo.test">]><r><EMailAddress>&a;'
    assert asked_address((text + "</EMailAddress></r>").encode("utf-16")) is None
