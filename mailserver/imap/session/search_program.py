"""The client's search keys become a program without protocol words.

Sequence sets, UID sets, `$` and \\Recent are resolved here, because only the view knows what they mean.
"""

from bisect import bisect_left
from datetime import datetime, timedelta
from typing import assert_never

from mailserver.imap.session.view import MailboxView
from mailserver.imap.wire import search_keys as asked
from mailserver.imap.wire.object_ids import message_named, thread_named
from mailserver.services import search_keys as program

_COMPARISONS = {
    asked.DateComparison.BEFORE: program.DateComparison.BEFORE,
    asked.DateComparison.ON: program.DateComparison.ON,
    asked.DateComparison.SINCE: program.DateComparison.SINCE,
}
_FIELDS = {
    asked.AddressField.FROM: program.EnvelopeField.FROM,
    asked.AddressField.TO: program.EnvelopeField.TO,
    asked.AddressField.CC: program.EnvelopeField.CC,
    asked.AddressField.BCC: program.EnvelopeField.BCC,
}
_NOTHING = program.AnyOf(())


def program_of(key: asked.SearchKey, view: MailboxView, now: datetime) -> program.SearchProgram:
    """The program for a key tree, whose depth the parser has limited. Numbers beyond the mailbox match nothing."""
    match key:
        case asked.All():
            return program.Everything()
        case asked.And(keys):
            return program.AllOf(tuple([program_of(each, view, now) for each in keys]))
        case asked.Or(keys):
            return program.AnyOf(tuple([program_of(each, view, now) for each in keys]))
        case asked.Not(negated):
            return program.NoneOf(program_of(negated, view, now))
        case asked.InSequence(messages) | asked.InUids(messages):
            return program.AmongPositions(tuple(view.positions_within(messages)))
        case asked.Recent():
            return program.AmongPositions((range(bisect_left(view.uids, view.recent_from), len(view.uids)),))
        case asked.HasFlag(flag):
            return program.HasFlag(flag)
        case asked.HasKeyword(keyword):
            return program.HasKeyword(keyword)
        case asked.AddressContains(field, text):
            return program.EnvelopeContains(_FIELDS[field], text)
        case asked.SubjectContains(text):
            return program.EnvelopeContains(program.EnvelopeField.SUBJECT, text)
        case asked.HeaderContains(name, text):
            return program.HeaderContains(name, text)
        case asked.BodyContains(text):
            return program.BodyContains(text)
        case asked.TextContains(text):
            return program.TextContains(text)
        case asked.InternalDate(comparison, day):
            return program.ReceivedOn(_COMPARISONS[comparison], day)
        case asked.SentDate(comparison, day):
            return program.SentOn(_COMPARISONS[comparison], day)
        case asked.SaveDate(comparison, day):
            return program.SavedOn(_COMPARISONS[comparison], day)
        case asked.Older(seconds):
            return program.ReceivedUntil(now - timedelta(seconds=seconds))
        case asked.Younger(seconds):
            return program.ReceivedFrom(now - timedelta(seconds=seconds))
        case asked.HasEmailId(object_id):
            message_id = message_named(object_id)
            return _NOTHING if message_id is None else program.IsMessage(message_id)
        case asked.HasThreadId(object_id):
            thread_id = thread_named(object_id)
            return _NOTHING if thread_id is None else program.InThread(thread_id)
        case asked.Larger(octets):
            return program.LargerThan(octets)
        case asked.Smaller(octets):
            return program.SmallerThan(octets)
        case asked.ModseqAtLeast(modseq):
            return program.ChangedSince(modseq)
        case _:
            assert_never(key)
