"""What mail programs ask before their person has to: Thunderbird's autoconfiguration, Outlook's Autodiscover (POX).

Both are told the same for every address, so that nobody learns here who exists. Pure but for the XML library.
Sources: Mozilla's definition of the configuration file (version 1.1); Microsoft's [MS-OXDSCLI] §2.2.4.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from tenants.addresses import parse_address
from tenants.errors import AddressInvalid
from webmail.pages.doors import Door

ASKED_LIMIT_OCTETS = 16_384
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
INVALID_REQUEST = 600

_SOCKET_TYPES = {"tls": "SSL", "starttls": "STARTTLS"}
_OUTLOOK_ENCRYPTIONS = {"tls": "SSL", "starttls": "TLS"}


def autoconfig(doors: Sequence[Door], domain: str, display_name: str) -> bytes:
    """The settings for an address in `domain` (an A-label, or empty where it was not said). The best door of each
    protocol comes first, as the format asks."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=domain or display_name)
    _text(provider, "domain", domain or display_name)
    _text(provider, "displayName", display_name)
    _text(provider, "displayShortName", "Waypost")
    for door in _ordered(doors):
        if door.purpose == "incoming":
            server = SubElement(provider, "incomingServer", type=door.protocol.lower())
        else:
            server = SubElement(provider, "outgoingServer", type="smtp")
        _text(server, "hostname", door.host)
        _text(server, "port", str(door.port))
        _text(server, "socketType", _SOCKET_TYPES[door.encryption])
        _text(server, "authentication", "password-cleartext")  # within TLS
        _text(server, "username", "%EMAILADDRESS%")
    return _written(root)


def autodiscover(doors: Sequence[Door], address: str) -> bytes:
    """The settings for `address`, as Outlook reads them: the first of each protocol is taken."""
    root = Element("Autodiscover", xmlns=RESPONSE)
    response = SubElement(root, "Response", xmlns=OUTLOOK)
    account = SubElement(response, "Account")
    _text(account, "AccountType", "email")
    _text(account, "Action", "settings")
    for door in _ordered(doors):
        protocol = SubElement(account, "Protocol")
        _text(protocol, "Type", door.protocol)
        _text(protocol, "Server", door.host)
        _text(protocol, "Port", str(door.port))
        _text(protocol, "LoginName", address)
        _text(protocol, "DomainRequired", "off")
        _text(protocol, "SPA", "off")
        _text(protocol, "SSL", "on" if door.encryption == "tls" else "off")
        _text(protocol, "Encryption", _OUTLOOK_ENCRYPTIONS[door.encryption])
        _text(protocol, "AuthRequired", "on")
        if door.purpose == "outgoing":
            _text(protocol, "UsePOPAuth", "on")
    return _written(root)


def autodiscover_refusal(message: str) -> bytes:
    root = Element("Autodiscover", xmlns=RESPONSE)
    error = SubElement(SubElement(root, "Response"), "Error", Id="0")
    _text(error, "ErrorCode", str(INVALID_REQUEST))
    _text(error, "Message", message)
    SubElement(error, "DebugData")
    return _written(root)


def asked_address(body: bytes) -> str | None:
    """The EMailAddress of a request; None if it is too long, no XML, declares entities, or has no good address."""
    if len(body) > ASKED_LIMIT_OCTETS or b"<!" in body or b"\0" in body:  # UTF-16 would hide a declaration
        return None
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  short, and without declarations of any kind
    except (ElementTree.ParseError, LookupError, ValueError):
        return None
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "EMailAddress":
            return good_address(element.text or "")
    return None


def good_address(text: str) -> str | None:
    try:
        parse_address(text.strip())
    except AddressInvalid:
        return None
    return text.strip()


def _ordered(doors: Iterable[Door]) -> list[Door]:
    """IMAP before POP3, TLS before STARTTLS: programs take the first that they can."""
    return sorted(doors, key=lambda door: (door.protocol == "POP3", not door.is_recommended))


def _text(parent: Element, name: str, value: str) -> None:
    SubElement(parent, name).text = value


def _written(root: Element) -> bytes:
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
