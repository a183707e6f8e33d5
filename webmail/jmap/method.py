"""What a method of JMAP is: a plain async function from a call's arguments to its response (RFC 8620 §3.2).

Methods know neither HTTP nor Django. `methods.METHODS` is the one table of them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mailserver.assembly import Parts
from tenants.types import Principal
from webmail.jmap.answer_room import AnswerRoom
from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.limits import Limits

Call = tuple[str, JsonObject]
"""A method's name and its arguments."""


@dataclass(slots=True)
class Context:
    """What the calls of one request share: who asks, with what capabilities, and ids that were made on the way.

    `created_ids` maps creation ids to the ids of what was made (RFC 8620 §3.3). `implied` collects calls that a method
    makes on its own behalf; the dispatcher runs them right after it, under the same call id (§5.4, RFC 8621 §7.5).
    `room` is what is left for what calls answer, where that may be much. `has_changed`: the call at work has committed
    something; should it fail now, it must not be told as if nothing had happened (§3.6.2).
    """

    parts: Parts
    who: Principal
    limits: Limits
    using: frozenset[str]
    created_ids: dict[str, str] = field(default_factory=dict)
    implied: list[Call] = field(default_factory=list)
    room: AnswerRoom = field(default_factory=AnswerRoom)
    has_changed: bool = False

    @property
    def account_id(self) -> str:
        """The one account that a person has here, as JMAP names it."""
        return f"A{self.who.account_id}"

    def demand_account(self, account_id: object) -> None:
        """Whoever names an account they may not see learns no more than that it is not found. Raises MethodError."""
        if not isinstance(account_id, str):
            raise MethodError("invalidArguments", "accountId must be an id")
        if account_id != self.account_id:
            raise MethodError("accountNotFound")

    def real_id(self, given: str) -> str:
        """The id that a creation id stands for, given as `#` and the creation id (RFC 8620 §5.3); others are real.

        One that nothing was made under stays as it is, and so is found nowhere.
        """
        return self.created_ids.get(given[1:], given) if given.startswith("#") else given


Run = Callable[[Context, JsonObject], Awaitable[JsonObject]]


@dataclass(frozen=True, slots=True)
class Method:
    """`capability` must be among the request's `using`, else the method is unknown (RFC 8620 §3.3)."""

    name: str
    capability: str
    run: Run
