"""Whether what an administrator typed may become an address, a password or a name."""

import unicodedata

from tenants.addresses import DETAIL_SEPARATOR, parse_address, parse_domain
from tenants.errors import AddressInvalid, DomainInvalid, NameInvalid, PasswordUnacceptable
from tenants.passwords import PASSWORD_LEAST_CHARACTERS, PASSWORD_LIMIT_OCTETS
from tenants.types import Address

NAME_LIMIT_CHARACTERS = 200


def new_address(text: str) -> Address:
    """An address that someone may be given: no detail, and nothing that needs quotes. Raises AddressInvalid."""
    address = parse_address(text.strip())
    if text.strip().startswith('"'):
        raise AddressInvalid(text, "choose one that needs no quotes")
    if DETAIL_SEPARATOR in address.local_part:
        raise AddressInvalid(text, "a + begins a detail, which everybody has without asking")
    try:
        parse_domain(address.domain)
    except DomainInvalid as error:
        raise AddressInvalid(text, error.reason) from None
    return address


def check_password(password: str) -> None:
    """Raises PasswordUnacceptable."""
    if len(password) < PASSWORD_LEAST_CHARACTERS:
        raise PasswordUnacceptable(f"it has under {PASSWORD_LEAST_CHARACTERS} characters")
    if len(password.encode(errors="surrogatepass")) > PASSWORD_LIMIT_OCTETS:
        raise PasswordUnacceptable(f"it has over {PASSWORD_LIMIT_OCTETS} octets")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        raise PasswordUnacceptable("it has a control character")


def clean_name(text: str) -> str:
    """A display name on one line. Raises NameInvalid."""
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise NameInvalid("it is empty")
    if len(name) > NAME_LIMIT_CHARACTERS:
        raise NameInvalid(f"it has over {NAME_LIMIT_CHARACTERS} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise NameInvalid("it has a control character or line break")
    return name
