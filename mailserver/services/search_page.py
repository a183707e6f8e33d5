"""One page: immutable facts and header texts of messages of one run, in memory."""

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field

from mailserver.services.search_columns import AddressColumns, SortColumns, ThreadingFacts
from storage.search_pages import RUN_BITS, Column, PackedFacts


@dataclass(slots=True, eq=False)
class Page:
    """At least one message. `stamp` is None until the page is known to be in the database, with the columns `kept`.

    Columns are there once they were asked for.
    """

    facts: PackedFacts
    stamp: int | None = None
    subjects: bytes | None = None
    addresses: AddressColumns | None = None
    sorting: SortColumns | None = None
    threading: list[ThreadingFacts] | None = None
    kept: set[Column] = field(default_factory=set)

    def has(self, column: Column) -> bool:
        return getattr(self, column.value) is not None

    @property
    def size(self) -> int:
        """About how many octets it takes."""
        octets = 64 * len(self.facts.uids) + len(self.subjects or b"")
        for columns in (self.addresses, self.sorting):
            if columns is not None:
                octets += sum(len(getattr(columns, name)) for name in columns.__slots__)
        if self.threading is not None:
            octets += sum(160 + 8 * len(each.references) for each in self.threading)
        return octets


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stretch of a view within one run: positions `begin` to `end` (excluded) of its uids."""

    run: int
    begin: int
    end: int


def stretches(uids: "array[int]") -> list[Wanted]:
    """A view's uids, run by run."""
    found: list[Wanted] = []
    begin = 0
    while begin < len(uids):
        run = uids[begin] >> RUN_BITS
        end = bisect_left(uids, (run + 1) << RUN_BITS, begin)
        found.append(Wanted(run, begin, end))
        begin = end
    return found
