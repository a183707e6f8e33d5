"""SEARCH, SORT and THREAD and their UID forms (RFC 3501 §6.4.4, RFC 4731, 5182, 5256, 5267, 9394).

Messages that were expunged and not yet told are not found (RFC 2180 §4.3).
"""

from array import array
from collections.abc import AsyncIterator, Iterable, Sequence

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.search_program import program_of
from mailserver.imap.session.view import MailboxView
from mailserver.imap.wire.commands import Search, SearchReturns, Sort, Thread
from mailserver.imap.wire.encode_search import thread_lists
from mailserver.imap.wire.responses import (
    Condition,
    ExtendedFound,
    Found,
    Response,
    Sorted,
    Tagged,
    Threaded,
)
from mailserver.imap.wire.search_options import ReturnOption, ReturnOptions, SortKey, ThreadAlgorithm
from mailserver.services.search import Searched
from mailserver.services.search_keys import AllOf, AmongPositions
from mailserver.services.searching import Threading
from mailserver.services.sorting import Criterion, SortBy
from storage.types import Modseq

_ALL = ReturnOptions(frozenset({ReturnOption.ALL}))
_SORT_BY = {
    SortKey.ARRIVAL: SortBy.ARRIVAL,
    SortKey.CC: SortBy.CC,
    SortKey.DATE: SortBy.DATE,
    SortKey.DISPLAYFROM: SortBy.DISPLAY_FROM,
    SortKey.DISPLAYTO: SortBy.DISPLAY_TO,
    SortKey.FROM: SortBy.FROM,
    SortKey.SIZE: SortBy.SIZE,
    SortKey.SUBJECT: SortBy.SUBJECT,
    SortKey.TO: SortBy.TO,
}
_THREADING = {
    ThreadAlgorithm.ORDEREDSUBJECT: Threading.ORDERED_SUBJECT,
    ThreadAlgorithm.REFERENCES: Threading.REFERENCES,
}


async def search(talk: Conversation, command: Search) -> AsyncIterator[Response]:
    """An IMAP4rev2 session gets ESEARCH where RFC 3501 has SEARCH (RFC 9051 §6.4.4).

    With UTF8=ACCEPT a charset is not to be named (RFC 6855 §3); IMAP4rev2 lets older clients name UTF-8.
    """
    if command.names_charset and talk.is_utf8_accept and not talk.is_rev2:
        yield Tagged(command.tag, Condition.BAD, "Texts are UTF-8 here, name no charset")
        return
    if command.asks_modseq:
        for response in talk.enable_condstore():
            yield response
    options = command.options or (_ALL if talk.is_rev2 else None)
    program = program_of(command.key, talk.selected, talk.now())
    results = _Results(talk, command, options)
    await results.take(await talk.services.searches.search(talk.person, results.searched, program))
    if options is None:
        yield Found(results.numbers, results.modseq)
    elif not options.only_saves:
        yield results.extended(options)
    yield Tagged(command.tag, Condition.OK, "Done")


async def sort(talk: Conversation, command: Sort) -> AsyncIterator[Response]:
    if command.asks_modseq:
        for response in talk.enable_condstore():
            yield response
    criteria = [Criterion(_SORT_BY[each.key], each.is_reverse) for each in command.criteria]
    program = program_of(command.key, talk.selected, talk.now())
    results = _Results(talk, command, command.options)
    await results.take(await talk.services.searches.sort(talk.person, results.searched, program, criteria))
    if command.options is None:
        yield Sorted(results.numbers, results.modseq)
    elif not command.options.only_saves:
        yield results.extended(command.options)
    yield Tagged(command.tag, Condition.OK, "Done")


async def thread(talk: Conversation, command: Thread) -> AsyncIterator[Response]:
    if command.asks_modseq:
        for response in talk.enable_condstore():
            yield response
    view = talk.selected
    searched = _searched(view)
    program = program_of(command.key, view, talk.now())
    if view.has_ghosts:
        program = AllOf((program, AmongPositions(_without_ghosts(view))))
    positions, threads = await talk.services.searches.thread(
        talk.person, searched, program, _THREADING[command.algorithm]
    )
    yield Threaded(thread_lists(threads, _numbers(searched, command.returns, positions)))
    yield Tagged(command.tag, Condition.OK, "Done")


def _searched(view: MailboxView) -> Searched:
    return Searched(view.mailbox_id, view.uids, view.flags, view.keywords)


def _without_ghosts(view: MailboxView) -> tuple[range, ...]:
    spans: list[range] = []
    begin = 0
    for position, uid in enumerate(view.uids):
        if view.is_ghost(uid):
            spans.append(range(begin, position))
            begin = position + 1
    return (*spans, range(begin, len(view.uids)))


def _numbers(searched: Searched, returns: SearchReturns, positions: Iterable[int]) -> list[int]:
    if returns is SearchReturns.UIDS:
        return [searched.uids[position] for position in positions]
    return [position + 1 for position in positions]


class _Results:
    """What a SEARCH or SORT found, and what of it is told and saved.

    A result that is to be saved empties `$` at once, so that nothing is saved when the search fails (RFC 5182 §2.1).
    `$` in the search itself was read before.
    """

    def __init__(self, talk: Conversation, command: Search | Sort, options: ReturnOptions | None) -> None:
        self._talk = talk
        self._command = command
        self._options = options
        self.searched = _searched(talk.selected)
        self.modseq: Modseq | None = None
        self._positions: list[int] = []
        if options is not None and options.saves:
            talk.selected.saved = array("I")

    @property
    def numbers(self) -> list[int]:
        return _numbers(self.searched, self._command.returns, self._positions)

    async def take(self, positions: list[int]) -> None:
        """What was found, in its order."""
        view, uids = self._talk.selected, self.searched.uids
        if view.has_ghosts:
            positions = [position for position in positions if not view.is_ghost(uids[position])]
        self._positions = positions
        concerned = self._concerned()
        if self._command.asks_modseq and concerned:
            modseqs = await self._talk.services.searches.modseqs(self._talk.person, self.searched)
            highest = max(modseqs.get(uids[position], 0) for position in concerned)
            self.modseq = Modseq(highest) if highest else None
        if self._options is not None and self._options.saves:
            view.saved = array("I", [uids[position] for position in sorted(set(concerned))])

    def _concerned(self) -> Sequence[int]:
        """What `$` will mean, and what MODSEQ tells of: all, unless only ends or a part were asked for.

        RFC 4731 §3.2, RFC 5182 §2.4, RFC 9394 §3.2.
        """
        options, positions = self._options, self._positions
        if options is None or options.concerns_all or not positions:
            return positions
        found = [positions[place] for place in options.partial.positions(len(positions))] if options.partial else []
        if ReturnOption.MIN in options:
            found.append(positions[0])
        if ReturnOption.MAX in options:
            found.append(positions[-1])
        return found

    def extended(self, options: ReturnOptions) -> ExtendedFound:
        """MIN and MAX are the first and the last of the order asked for (RFC 5267 §3.1)."""
        numbers = self.numbers
        partial = options.partial
        return ExtendedFound(
            self._command.tag,
            is_uid=self._command.returns is SearchReturns.UIDS,
            minimum=numbers[0] if ReturnOption.MIN in options and numbers else None,
            maximum=numbers[-1] if ReturnOption.MAX in options and numbers else None,
            count=len(numbers) if ReturnOption.COUNT in options else None,
            all=numbers if ReturnOption.ALL in options else (),
            partial=None if partial is None else (partial, [numbers[at] for at in partial.positions(len(numbers))]),
            modseq=self.modseq,
        )
