"""How many connections a person has open in this process, in all and from one network; pure counts."""

from collections import Counter
from dataclasses import dataclass

from mailserver.services.errors import TooManyConnections
from mailserver.services.throttle import networks_of
from tenants.types import AccountId


@dataclass(frozen=True, slots=True)
class Seat:
    """A connection that was counted: what `leave` takes back."""

    account_id: AccountId
    network: str | None


class AccountConnections:
    """Loopback is no network here: what connects from there is a proxy or a program of ours."""

    def __init__(self, *, per_account: int, per_network: int) -> None:
        self._per_account = per_account
        self._per_network = per_network
        self._of_account: Counter[AccountId] = Counter()
        self._of_seat: Counter[Seat] = Counter()

    def enter(self, account_id: AccountId, peer: str) -> Seat:
        """Raises TooManyConnections, and then nothing was counted."""
        seat = Seat(account_id, networks_of(peer).narrow)
        if self._of_account[account_id] >= self._per_account:
            raise TooManyConnections(self._per_account)
        if seat.network is not None and self._of_seat[seat] >= self._per_network:
            raise TooManyConnections(self._per_network)
        self._of_account[account_id] += 1
        self._of_seat[seat] += 1
        return seat

    def leave(self, seat: Seat) -> None:
        self._of_account[seat.account_id] -= 1
        self._of_seat[seat] -= 1
        if not self._of_account[seat.account_id]:
            del self._of_account[seat.account_id]
        if not self._of_seat[seat]:
            del self._of_seat[seat]
