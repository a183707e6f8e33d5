"""What people have open in this process: how many connections of whom, in all and from one network, and their end.

Each was admitted in an epoch of its account (`account.sign_in_epoch`). When the account is known to be in a later one,
what was admitted before is over; and with a token ends what it opened. `endings` finds out and says so here.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailserver.services.errors import TooManyConnections
from mailserver.services.throttle import networks_of
from tenants.types import AccountId, TokenBorne


def _nothing() -> None:
    """Whoever cannot be told sees `is_over`."""


@dataclass(slots=True, eq=False)
class Seat:
    """A connection that was counted: what `leave` takes back. `is_over`: the person has been signed out of it."""

    account_id: AccountId
    network: str | None
    epoch: int = 0
    token: TokenBorne | None = None
    end: Callable[[], None] = field(default=_nothing, repr=False)
    is_over: bool = False


class AccountConnections:
    """Loopback is no network here: what connects from there is a proxy or a program of ours."""

    def __init__(self, *, per_account: int, per_network: int) -> None:
        self._per_account = per_account
        self._per_network = per_network
        self._seats: dict[AccountId, set[Seat]] = {}
        self._by_token: set[Seat] = set()
        self._of_network: Counter[tuple[AccountId, str]] = Counter()

    def enter(
        self,
        account_id: AccountId,
        peer: str,
        *,
        epoch: int = 0,
        token: TokenBorne | None = None,
        end: Callable[[], None] | None = None,
    ) -> Seat:
        """`end` is called once, on the loop, when the person is signed out of what was admitted in `epoch`, or the
        token by which it was is good no more.

        Raises TooManyConnections, and then nothing was counted.
        """
        seat = Seat(account_id, networks_of(peer).narrow, epoch, token, end or _nothing)
        if len(self._seats.get(account_id, ())) >= self._per_account:
            raise TooManyConnections(self._per_account)
        if seat.network is not None:
            if self._of_network[account_id, seat.network] >= self._per_network:
                raise TooManyConnections(self._per_network)
            self._of_network[account_id, seat.network] += 1
        self._seats.setdefault(account_id, set()).add(seat)
        if token is not None:
            self._by_token.add(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        seats = self._seats[seat.account_id]
        seats.remove(seat)
        self._by_token.discard(seat)
        if not seats:
            del self._seats[seat.account_id]
        if seat.network is not None:
            key = (seat.account_id, seat.network)
            self._of_network[key] -= 1
            if not self._of_network[key]:
                del self._of_network[key]

    @property
    def is_empty(self) -> bool:
        return not self._seats

    def end_before(self, account_id: AccountId, epoch: int) -> int:
        """End what was admitted before that epoch began; how many there were."""
        return _end(seat for seat in self._seats.get(account_id, ()) if seat.epoch < epoch)

    def tokens_of(self, accounts: Iterable[AccountId]) -> Sequence[int]:
        """The tokens by which these have something open."""
        seats = (seat for account_id in accounts for seat in self._seats.get(account_id, ()))
        return sorted({seat.token.id for seat in seats if seat.token is not None and not seat.is_over})

    def end_of_tokens(self, gone: Collection[int]) -> int:
        """End what these opened; how many there were."""
        return _end(seat for seat in self._by_token if seat.token is not None and seat.token.id in gone)

    def end_of_expired(self, now: datetime) -> int:
        """End what was opened by a token that has expired; how many there were."""
        return _end(
            seat
            for seat in self._by_token
            if seat.token is not None and seat.token.expires_at is not None and seat.token.expires_at <= now
        )


def _end(seats: Iterable[Seat]) -> int:
    over = [seat for seat in seats if not seat.is_over]
    for seat in over:
        seat.is_over = True
        seat.end()
    return len(over)
