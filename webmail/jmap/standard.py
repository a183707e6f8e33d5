"""The arguments that the standard methods of every type share, read and typed (RFC 8620 §5); `Arguments` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.filters import Comparator, Filter


@dataclass(frozen=True, slots=True)
class StandardGet:
    """`ids` (each once) and `properties` are None where all are wanted. At most `most` objects may be answered."""

    ids: tuple[str, ...] | None
    properties: frozenset[str] | None
    most: int

    def wants(self, name: str) -> bool:
        return self.properties is None or name in self.properties

    def shown(self, record: JsonObject) -> JsonObject:
        """The record with the properties that were asked for, and its id."""
        if self.properties is None:
            return record
        return {name: value for name, value in record.items() if name == "id" or name in self.properties}

    def demand_few(self, objects: int) -> None:
        """Raises requestTooLarge: where `ids` is null, all are answered or none."""
        if objects > self.most:
            raise MethodError("requestTooLarge", f"there are more than {self.most}")


@dataclass(frozen=True, slots=True)
class StandardChanges:
    """`max_changes` is positive, or None: as many as the server likes."""

    since_state: str
    max_changes: int | None


@dataclass(frozen=True, slots=True)
class StandardSet:
    """`create` by creation id. Keys of `update` and members of `destroy` may be `#` and a creation id, of this call
    too: `Context.real_id` tells the id once it is made."""

    if_in_state: str | None
    create: Mapping[str, JsonObject]
    update: Mapping[str, JsonObject]
    destroy: tuple[str, ...]

    def demand_state(self, state: str) -> None:
        """Raises stateMismatch."""
        if self.if_in_state is not None and self.if_in_state != state:
            raise MethodError("stateMismatch")


@dataclass(frozen=True, slots=True)
class StandardQuery:
    """A negative `position` counts from the end. With an `anchor`, `position` means nothing."""

    filter: Filter | None
    sort: tuple[Comparator, ...]
    position: int
    anchor: str | None
    anchor_offset: int
    limit: int | None
    is_total_wanted: bool


@dataclass(frozen=True, slots=True)
class StandardQueryChanges:
    filter: Filter | None
    sort: tuple[Comparator, ...]
    since_query_state: str
    max_changes: int | None
    up_to_id: str | None
    is_total_wanted: bool
