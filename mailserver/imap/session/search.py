"""SEARCH and UID SEARCH (RFC 3501 §6.4.4, RFC 7162 §3.1.5): the client's keys become a program without protocol words.

Sequence sets, UID sets and \\Recent are resolved here, because only the view knows what they mean. Messages that were
expunged and not yet told are not found (RFC 2180 §4.3).
"""

from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from typing import assert_never

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.view import MailboxView
from mailserver.imap.wire import search_keys as asked
from mailserver.imap.wire.commands import Search, SearchReturns
from mailserver.imap.wire.responses import Condition, Found, Response, Tagged
from mailserver.imap.wire.sequence import SequenceSet, UidSet, positions_of_numbers, positions_of_uids
from mailserver.services import messages
from mailserver.services import search as service
from mailserver.services import search_keys as program
from storage.rows import Columns
from storage.types import Modseq, Uid


async def search(talk: Conversation, command: Search) -> AsyncIterator[Response]:
    view = talk.selected
    if command.asks_modseq:
        for response in talk.enable_condstore():
            yield response
    searched = service.Searched(view.mailbox_id, view.uids, view.flags, view.keywords)
    found = await service.search(talk.services.store, talk.person, searched, program_of(command.key, view))
    uids = [uid for uid in found if not view.is_ghost(uid)]
    modseq = await _highest_modseq(talk, uids) if command.asks_modseq and uids else None
    if command.returns is SearchReturns.UIDS:
        yield Found(uids, modseq)
    else:
        yield Found([number for uid in uids if (number := view.number_of(uid)) is not None], modseq)
    yield Tagged(command.tag, Condition.OK, "Done")


async def _highest_modseq(talk: Conversation, uids: Sequence[Uid]) -> Modseq | None:
    highest: Modseq | None = None
    chunks = messages.fetch_rows(talk.services.store, talk.person, talk.selected.mailbox_id, uids, Columns.FACTS)
    async for rows in chunks:
        highest = max([row.modseq for row in rows] + ([highest] if highest is not None else []), default=None)
    return highest


def program_of(key: asked.SearchKey, view: MailboxView) -> program.SearchProgram:
    """The program for a key tree, whose depth the parser has limited."""
    match key:
        case asked.All():
            return program.Everything()
        case asked.And(keys):
            return program.AllOf(tuple(program_of(each, view) for each in keys))
        case asked.Or(keys):
            return program.AnyOf(tuple(program_of(each, view) for each in keys))
        case asked.Not(negated):
            return program.NoneOf(program_of(negated, view))
        case asked.InSequence(messages):
            return _among(view, messages)
        case asked.InUids(messages):
            return _among(view, messages)
        case asked.Recent():
            return program.AmongUids(frozenset(view.uids[bisect_left(view.uids, view.recent_from) :]))
        case asked.HasFlag(flag):
            return program.HasFlag(flag)
        case asked.HasKeyword(keyword):
            return program.HasKeyword(keyword)
        case asked.AddressContains(field, text):
            return program.HeaderContains(field.value, text)
        case asked.SubjectContains(text):
            return program.HeaderContains("subject", text)
        case asked.HeaderContains(field, text):
            return program.HeaderContains(field, text)
        case asked.BodyContains(text):
            return program.BodyContains(text)
        case asked.TextContains(text):
            return program.TextContains(text)
        case asked.InternalDate(comparison, day):
            return program.ReceivedOn(_COMPARISONS[comparison], day)
        case asked.SentDate(comparison, day):
            return program.SentOn(_COMPARISONS[comparison], day)
        case asked.Larger(octets):
            return program.LargerThan(octets)
        case asked.Smaller(octets):
            return program.SmallerThan(octets)
        case asked.ModseqAtLeast(modseq):
            return program.ChangedSince(modseq)
        case _:
            assert_never(key)


_COMPARISONS = {
    asked.DateComparison.BEFORE: program.DateComparison.BEFORE,
    asked.DateComparison.ON: program.DateComparison.ON,
    asked.DateComparison.SINCE: program.DateComparison.SINCE,
}


def _among(view: MailboxView, named: SequenceSet | UidSet) -> program.AmongUids:
    """Numbers beyond the mailbox match nothing here, as in other servers; in FETCH they are an error."""
    if isinstance(named, UidSet):
        spans = positions_of_uids(named, view.uids)
    else:
        spans = positions_of_numbers(named, len(view.uids))
    return program.AmongUids(frozenset(uid for span in spans for uid in view.uids[span.start : span.stop]))
