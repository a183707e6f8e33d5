"""How addresses are shown to people: the domain in its own script."""

from tenants.addresses import display_domain


def shown_address(address: str) -> str:
    local_part, _, domain = address.rpartition("@")
    return f"{local_part}@{display_domain(domain)}"
