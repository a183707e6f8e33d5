"""One mail transaction: MAIL, RCPT for each recipient, DATA, and what every reply means (RFC 5321 §3.3, RFC 2920).

With PIPELINING all commands leave in one write, DATA too, and the replies are matched to them in order; without, one
by one. When the conversation breaks, `breakage` says how, and whoever is not settled may be tried elsewhere; once the
end of data was sent everybody is settled, for the host may have taken it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailserver.outbound.letters import Addressee, Letter
from mailserver.outbound.outcomes import (
    Deferred,
    Delivered,
    Failed,
    Outcome,
    Reason,
    Reply,
    of_fact,
    of_refusal,
    reply_of_lines,
    softened,
)
from mailserver.outbound.wire.commands import is_writable, mail_from, rcpt_to
from mailserver.outbound.wire.extensions import Extensions
from mailserver.outbound.wire.reply_reader import RawReply
from mailserver.outbound.wire.steps import Hear, Say, SendContent, Steps, Wait, hear, hear_raw

_RSET = b"RSET\r\n"
_DATA = b"DATA\r\n"
_CLOSING = 421

# 452 is the right code for it, 552 what RFC 821 had; either may also mean a full mailbox (RFC 5321 §4.5.3.1.10).
_TOO_MANY = {452: ("4.0.0", "4.5.3"), 552: ("5.0.0", "5.5.3")}


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom one talks to. `tls` as in Delivered."""

    host: str
    address: str = ""
    tls: str = ""


class Transaction:
    """`outcomes` stand in the order of the addressees; None: not settled."""

    def __init__(self, letter: Letter, addressees: Sequence[Addressee], extensions: Extensions, peer: Peer) -> None:
        self._letter = letter
        self._addressees = addressees
        self._extensions = extensions
        self._peer = peer
        self._host = peer.host
        self.outcomes: list[Outcome | None] = [None] * len(addressees)
        self.has_begun = False  # MAIL was accepted
        self.is_content_sent = False  # with its end: from here on the host may have taken it
        self.leaves_open = False  # a transaction that the host still holds: RSET before the next
        self.breakage: Deferred | Failed | None = (
            None  # why nobody else can be settled; the connection is of no more use
        )
        self._refuse_what_cannot_go()

    @property
    def delivered(self) -> int:
        return sum(isinstance(outcome, Delivered) for outcome in self.outcomes)

    def interrupt(self, reason: Reason, detail: str = "") -> None:
        """The conversation broke."""
        if self.is_content_sent:
            reason, detail = Reason.UNANSWERED_END, str(reason)
        self.breakage = of_fact(reason, detail, host=self._host)
        if self.is_content_sent:
            self._settle_rest(self.breakage)

    def steps(self, *, resets: bool) -> Steps[None]:
        """`resets`: the transaction before left something that RSET must clear."""
        candidates = [index for index, outcome in enumerate(self.outcomes) if outcome is None]
        if not candidates:
            self.leaves_open = resets
            return
        commands = self._commands(candidates)
        if self._extensions.pipelining:
            yield from self._pipelined(commands, candidates, resets=resets)
        else:
            yield from self._one_by_one(commands, candidates, resets=resets)

    def _refuse_what_cannot_go(self) -> None:
        """What the host's extensions or the addresses themselves rule out, before anything is sent."""
        letter, extensions = self._letter, self._extensions
        unfit: Reason | None = None
        if extensions.size_limit is not None and letter.octets > extensions.size_limit:
            unfit = Reason.TOO_BIG
        elif not is_writable(letter.reverse_path) and letter.reverse_path:
            unfit = Reason.ADDRESS_INVALID
        elif not extensions.smtputf8 and (letter.needs_utf8 or not letter.reverse_path.isascii()):
            unfit = Reason.NEEDS_UTF8
        for index, addressee in enumerate(self._addressees):
            if unfit is not None:
                self._settle(index, of_fact(unfit, host=self._host))
            elif not is_writable(addressee.address):
                self._settle(index, of_fact(Reason.ADDRESS_INVALID, addressee.address, host=self._host))
            elif not (extensions.smtputf8 or addressee.address.isascii()):
                self._settle(index, of_fact(Reason.NEEDS_UTF8, host=self._host))

    def _commands(self, candidates: Sequence[int]) -> list[bytes]:
        addressees = [self._addressees[index] for index in candidates]
        letter = self._letter
        needs_utf8 = letter.needs_utf8 or not (
            letter.reverse_path.isascii() and all(addressee.address.isascii() for addressee in addressees)
        )
        mail = mail_from(letter, self._extensions, needs_utf8=needs_utf8)
        return [mail, *(rcpt_to(addressee, self._extensions) for addressee in addressees)]

    def _pipelined(self, commands: list[bytes], candidates: Sequence[int], *, resets: bool) -> Steps[None]:
        yield Say(b"".join([_RSET if resets else b"", *commands, _DATA]))
        self.leaves_open = True
        if resets:
            yield Hear(Wait.COMMAND)
        yield from self._hear_mail()
        accepted: list[int] = []
        for index in candidates:
            if self.breakage:
                return
            yield from self._hear_recipient(index, accepted)
        if self.breakage:
            return
        data = yield from hear_raw(Wait.DATA)
        if data.code == 354 and not accepted:
            yield Say(b".\r\n")  # the host waits for a message that is for nobody (RFC 2920 §3.1)
            yield Hear(Wait.END)
            return
        yield from self._go_on(data, accepted)

    def _one_by_one(self, commands: list[bytes], candidates: Sequence[int], *, resets: bool) -> Steps[None]:
        if resets:
            yield Say(_RSET)
            yield Hear(Wait.COMMAND)
        yield Say(commands[0])
        self.leaves_open = True
        yield from self._hear_mail()
        if not self.has_begun:
            return
        accepted: list[int] = []
        for index, command in zip(candidates, commands[1:], strict=True):
            yield Say(command)
            yield from self._hear_recipient(index, accepted)
            if self.breakage:
                return
        if not accepted:
            return
        yield Say(_DATA)
        data = yield from hear_raw(Wait.DATA)
        yield from self._go_on(data, accepted)

    def _hear_mail(self) -> Steps[None]:
        raw = yield from hear_raw(Wait.COMMAND)
        if raw.code == 250:
            self.has_begun = True
        elif not self._heeds_closing(reply := self._reply(raw)):
            self._settle_rest(_refusal(reply))

    def _hear_recipient(self, index: int, accepted: list[int]) -> Steps[None]:
        raw = yield from hear_raw(Wait.COMMAND)
        if 200 <= raw.code < 300 and self.outcomes[index] is None:
            accepted.append(index)
            return
        reply = self._reply(raw)
        if self.outcomes[index] is not None or self._heeds_closing(reply):
            return  # what follows a refused MAIL says nothing new
        if accepted and reply.enhanced in _TOO_MANY.get(reply.code, ()):
            self._settle(index, softened(of_refusal(reply, Reason.TOO_MANY_RECIPIENTS)))
        else:
            self._settle(index, _refusal(reply))

    def _go_on(self, data: RawReply, accepted: list[int]) -> Steps[None]:
        """From the reply to DATA to the one after the message."""
        if data.code != 354:
            if not self._heeds_closing(reply := self._reply(data)):
                self._settle_rest(_refusal(reply))
            return
        is_whole = yield SendContent()
        self.is_content_sent = bool(is_whole)
        reply = yield from hear(Wait.END, self._host)
        self.leaves_open = False
        if 200 <= reply.code < 300 and is_whole:
            delivered = Delivered(reply, self._extensions.dsn, self._peer.address, self._peer.tls)
            for index in accepted:
                self._settle(index, delivered)
            return
        refusal = _refusal(reply)
        self._settle_rest(refusal)
        if reply.code == _CLOSING or not is_whole:
            self.breakage = refusal

    def _reply(self, raw: RawReply) -> Reply:
        return reply_of_lines(raw.code, list(raw.lines), self._host)

    def _heeds_closing(self, reply: Reply) -> bool:
        """421 ends the connection: nothing more is answered, and nobody has the message yet."""
        if reply.code != _CLOSING:
            return False
        self.breakage = of_refusal(reply)
        return True

    def _settle(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome

    def _settle_rest(self, outcome: Outcome) -> None:
        for index, settled in enumerate(self.outcomes):
            if settled is None:
                self.outcomes[index] = outcome


def _refusal(reply: Reply) -> Deferred | Failed:
    """A reply that is neither the success that was waited for nor a refusal makes no sense; later it may."""
    if reply.code >= 400:
        return of_refusal(reply)
    return of_fact(Reason.NOT_SMTP, str(reply), host=reply.host)
