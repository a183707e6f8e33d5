"""What the handlers of the JMAP door share: the parts of the process, limits, and who has how many turns."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from mailserver.assembly import Parts
from tenants.types import Principal
from webmail.jmap.http.exchange import Answer, HttpRequest
from webmail.jmap.http.turns import Turns
from webmail.jmap.limits import Limits
from webmail.jmap.method import Method
from webmail.jmap.methods import METHODS

HELD_DOWNLOADS = 4
"""Downloads of one person at once whose octets stand in memory until the client has taken them."""


@dataclass(frozen=True, slots=True)
class Door:
    """One per process."""

    parts: Parts
    limits: Limits = field(default_factory=Limits)
    methods: Mapping[str, Method] = field(default_factory=lambda: METHODS)
    requests: Turns = field(init=False)
    uploads: Turns = field(init=False)
    held_downloads: Turns = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        object.__setattr__(self, "requests", Turns("maxConcurrentRequests", limits.max_concurrent_requests))
        object.__setattr__(self, "uploads", Turns("maxConcurrentUpload", limits.max_concurrent_upload))
        object.__setattr__(self, "held_downloads", Turns("concurrentDownloads", HELD_DOWNLOADS))


Handler = Callable[[Door, HttpRequest, Answer, Principal, Mapping[str, str]], Awaitable[None]]
"""Answers one request of somebody who has signed in; the last argument holds the path's variables, decoded."""
