"""The arguments of a call, read strictly: each by name and type, and none left over (RFC 8620 §3.5, §3.9).

    taken = Arguments(context, arguments)
    wanted = taken.standard_get(PROPERTIES)
    is_html_wanted = taken.boolean("fetchHTMLBodyValues", default=False)
    taken.end()

An argument whose type allows null may be left out; one with a default may be left out, but not be null. Whatever is
wrong raises InvalidArguments, an account that is not the person's accountNotFound.
"""

from collections.abc import Callable, Container
from typing import Any, TypeVar

from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError
from webmail.jmap.filters import Comparator, Filter, parse_filter, parse_sort
from webmail.jmap.ids import is_id
from webmail.jmap.method import Context
from webmail.jmap.standard import StandardChanges, StandardGet, StandardQuery, StandardQueryChanges, StandardSet

LARGEST = 2**53 - 1  # RFC 8620 §1.3
T = TypeVar("T")


class Arguments:
    """Takes arguments out of a call one after the other; `end` refuses what nobody took."""

    def __init__(self, context: Context, arguments: JsonObject) -> None:
        self._context = context
        self._left = dict(arguments)

    def end(self) -> None:
        if self._left:
            raise InvalidArguments(f"unknown argument: {min(self._left)}")

    def account(self) -> None:
        """`accountId`, which must be the account of who asks."""
        self._context.demand_account(self._left.pop("accountId", None))

    def string(self, name: str) -> str:
        return self._required(name, as_string)

    def string_or_null(self, name: str) -> str | None:
        return self._nullable(name, as_string)

    def boolean(self, name: str, *, default: bool) -> bool:
        return self._defaulted(name, as_boolean, default)

    def integer(self, name: str, *, default: int) -> int:
        return self._defaulted(name, as_integer, default)

    def unsigned(self, name: str, *, default: int) -> int:
        return self._defaulted(name, as_unsigned, default)

    def unsigned_or_null(self, name: str) -> int | None:
        return self._nullable(name, as_unsigned)

    def id(self, name: str) -> str:
        return self._required(name, as_id)

    def id_or_null(self, name: str) -> str | None:
        return self._nullable(name, as_id)

    def ids(self, name: str) -> list[str]:
        return self._required(name, as_ids)

    def ids_or_null(self, name: str) -> list[str] | None:
        return self._nullable(name, as_ids)

    def strings(self, name: str) -> list[str]:
        return self._required(name, as_strings)

    def strings_or_null(self, name: str) -> list[str] | None:
        return self._nullable(name, as_strings)

    def object(self, name: str) -> JsonObject:
        return self._required(name, as_object)

    def object_or_null(self, name: str) -> JsonObject | None:
        return self._nullable(name, as_object)

    def map_of_objects(self, name: str) -> dict[str, JsonObject]:
        """An object whose values are objects, its keys ids, `#` before those of what is made in the same request."""
        return self._required(name, as_map_of_objects)

    def map_of_objects_or_null(self, name: str) -> dict[str, JsonObject] | None:
        return self._nullable(name, as_map_of_objects)

    def properties(self, name: str, known: Container[str] | None) -> frozenset[str] | None:
        """A list of property names, None for all. Without `known` the caller looks whether they exist."""
        given = self.strings_or_null(name)
        if given is None:
            return None
        for each in given:
            if known is not None and each not in known:
                raise InvalidArguments(f"{name}: no such property: {each}")
        return frozenset(given)

    def standard_get(self, known: Container[str] | None) -> StandardGet:
        """The arguments of a /get (RFC 8620 §5.1), ids that are named twice once. Raises requestTooLarge."""
        self.account()
        given = self.ids_or_null("ids")
        ids = None if given is None else tuple(dict.fromkeys(self._real(each) for each in given))
        limit = self._context.limits.max_objects_in_get
        if ids is not None and len(ids) > limit:
            raise MethodError("requestTooLarge", f"at most {limit} ids")
        return StandardGet(ids, self.properties("properties", known), limit)

    def standard_changes(self) -> StandardChanges:
        """The arguments of a /changes (§5.2)."""
        self.account()
        since, most = self.string("sinceState"), self.unsigned_or_null("maxChanges")
        if most == 0:
            raise InvalidArguments("maxChanges must be positive")
        return StandardChanges(since, most)

    def standard_set(self) -> StandardSet:
        """The arguments of a /set (§5.3). Raises requestTooLarge."""
        self.account()
        wanted = StandardSet(
            if_in_state=self.string_or_null("ifInState"),
            create=self._nullable("create", as_creations) or {},
            update=self.map_of_objects_or_null("update") or {},
            destroy=tuple(dict.fromkeys(self.ids_or_null("destroy") or ())),
        )
        self.demand_few(len(wanted.create) + len(wanted.update) + len(wanted.destroy))
        return wanted

    def standard_query(self) -> StandardQuery:
        """The arguments of a /query (§5.5)."""
        self.account()
        return StandardQuery(
            filter=self._filter(),
            sort=self._sort(),
            position=self.integer("position", default=0),
            anchor=self.id_or_null("anchor"),
            anchor_offset=self.integer("anchorOffset", default=0),
            limit=self.unsigned_or_null("limit"),
            is_total_wanted=self.boolean("calculateTotal", default=False),
        )

    def standard_query_changes(self) -> StandardQueryChanges:
        """The arguments of a /queryChanges (§5.6)."""
        self.account()
        return StandardQueryChanges(
            filter=self._filter(),
            sort=self._sort(),
            since_query_state=self.string("sinceQueryState"),
            max_changes=self.unsigned_or_null("maxChanges"),
            up_to_id=self.id_or_null("upToId"),
            is_total_wanted=self.boolean("calculateTotal", default=False),
        )

    def demand_few(self, objects: int) -> None:
        """Raises requestTooLarge for more than one /set, /copy or /import may act on."""
        if objects > (limit := self._context.limits.max_objects_in_set):
            raise MethodError("requestTooLarge", f"at most {limit} objects")

    def _filter(self) -> Filter | None:
        given = self.object_or_null("filter")
        return None if given is None else parse_filter(given)

    def _sort(self) -> tuple[Comparator, ...]:
        return parse_sort(self._left.pop("sort", None))

    def _real(self, given: str) -> str:
        return self._context.real_id(given)

    def _required(self, name: str, read: Callable[[str, Any], T]) -> T:
        if name not in self._left:
            raise InvalidArguments(f"{name} is missing")
        return read(name, self._left.pop(name))

    def _nullable(self, name: str, read: Callable[[str, Any], T]) -> T | None:
        value = self._left.pop(name, None)
        return None if value is None else read(name, value)

    def _defaulted(self, name: str, read: Callable[[str, Any], T], default: T) -> T:
        return read(name, self._left.pop(name)) if name in self._left else default


def as_string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArguments(f"{name} must be a string")
    return value


def as_boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidArguments(f"{name} must be true or false")
    return value


def as_integer(name: str, value: object) -> int:
    """An Int (RFC 8620 §1.3); JSON does not tell 5 from 5.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -LARGEST <= value <= LARGEST:
        raise InvalidArguments(f"{name} must be an integer")
    return value


def as_unsigned(name: str, value: object) -> int:
    number = as_integer(name, value)
    if number < 0:
        raise InvalidArguments(f"{name} must not be negative")
    return number


def as_id(name: str, value: object) -> str:
    """An Id, or `#` and a creation id, which stands for what was made under it (RFC 8620 §5.3)."""
    if not isinstance(value, str) or not is_id(value.removeprefix("#")):
        raise InvalidArguments(f"{name} must be an id")
    return value


def as_ids(name: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise InvalidArguments(f"{name} must be a list of ids")
    return [as_id(name, each) for each in value]


def as_strings(name: str, value: object) -> list[str]:
    if not isinstance(value, list):
        raise InvalidArguments(f"{name} must be a list of strings")
    return [as_string(name, each) for each in value]


def as_object(name: str, value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise InvalidArguments(f"{name} must be an object")
    return value


def as_map_of_objects(name: str, value: object) -> dict[str, JsonObject]:
    return {as_id(name, key): as_object(f"{name}/{key}", each) for key, each in as_object(name, value).items()}


def as_creations(name: str, value: object) -> dict[str, JsonObject]:
    creations = as_map_of_objects(name, value)
    if any(key.startswith("#") for key in creations):
        raise InvalidArguments(f"{name}: a creation id is an id")
    return creations
