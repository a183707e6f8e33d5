"""Brings a message to the hosts of a site: one outcome for each recipient, whatever happens on the way."""

from collections.abc import Sequence

from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.letters import Addressee, Letter, OpenOctets
from mailserver.outbound.outcomes import Outcome
from mailserver.outbound.sites import Site


class Exchange:
    """Keeps connections open between messages. How many run at once for a site is for the caller to limit."""

    def __init__(self, hostname: str, config: ExchangeConfig) -> None:
        raise NotImplementedError

    async def exchange(
        self, site: Site, letter: Letter, addressees: Sequence[Addressee], open_octets: OpenOctets
    ) -> list[Outcome]:
        """The outcomes in the order of the addressees. Raises nothing but what is a bug, and CancelledError."""
        raise NotImplementedError

    async def close(self) -> None:
        """Quit the connections that are kept open."""
        raise NotImplementedError
