"""Who is kept from signing in for a while, as administrators see it and lift it.

The counts rest in Redis, which `tenants` knows nothing of: whoever does is named in the settings and given here.
"""

from collections.abc import Sequence
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from tenants.types import Block


class SignInBlocks(Protocol):
    """Every method raises BlocksUnreachable."""

    def of_account(self, account_id: int) -> Sequence[Block]: ...

    def lift_account(self, account_id: int) -> None: ...

    def of_network(self, network: str) -> Sequence[Block]:
        """Raises NetworkInvalid too."""

    def lift_network(self, network: str) -> None:
        """Raises NetworkInvalid too."""


def sign_in_blocks() -> SignInBlocks:
    return cast(SignInBlocks, import_string(settings.WAYPOST_SIGN_IN_BLOCKS)())
