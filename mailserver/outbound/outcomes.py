"""What became of a recipient at another host, and which facts are for good and which pass (RFC 5321 §4.2.1, RFC 3463).

An outcome always carries a reply: the other host's, or one of ours for what no host said (no such domain, nobody
answered), which then has the code 0. Deferred means worth another attempt; how many and when is the queue's matter.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reply:
    """`enhanced` is never empty: where a host gave none it is the one its code stands for, as `5.0.0`.

    `text` is what followed the codes, printable, lines joined by LF, bounded. `host` is the name of who said it.
    """

    code: int  # 0: no host said this, we found it out
    enhanced: str
    text: str
    host: str = ""

    @property
    def is_ours(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        return f"{self.enhanced} {self.text}" if self.is_ours else f"{self.code} {self.enhanced} {self.text}"


class Reason(StrEnum):
    """The fact behind an outcome that is no delivery; `_FACTS` says whether it passes."""

    REFUSED = "refused"  # the host's own reply, 5yz or 4yz, says whether it passes
    DOMAIN_UNKNOWN = "domain unknown"
    DOMAIN_INVALID = "domain invalid"
    NULL_MX = "null MX"  # the domain says that it takes no mail (RFC 7505)
    NO_USABLE_HOST = "no usable host"  # its MX have no address, or only such as we do not connect to
    MAIL_LOOPS = "mail loops back"  # the best host is ourselves
    DNS_TEMPORARY = "DNS temporary"
    UNREACHABLE = "unreachable"
    UNWELCOME = "unwelcome"  # greeted with a refusal, at every host
    TIMED_OUT = "timed out"
    CONNECTION_LOST = "connection lost"
    NOT_SMTP = "not SMTP"  # what came back is no reply
    UNANSWERED_END = "unanswered end"  # the whole message was sent and no reply came: it may arrive twice
    TLS_FAILED = "TLS failed"  # where TLS is a must
    SIGN_IN_FAILED = "sign-in failed"  # our credentials at a smarthost
    TOO_BIG = "too big"  # by the SIZE that the host announced
    NEEDS_UTF8 = "needs SMTPUTF8"
    TOO_MANY_RECIPIENTS = "too many recipients"  # for one transaction; the rest goes in another
    CONTENT_UNAVAILABLE = "content unavailable"  # our own storage could not give the octets
    ADDRESS_INVALID = "address invalid"  # cannot be put into a command


@dataclass(frozen=True, slots=True)
class Delivered:
    """The host took responsibility. `is_dsn_passed_on`: RFC 3461's wishes too, so their reports come from there."""

    reply: Reply
    is_dsn_passed_on: bool = False
    address: str = ""  # the IP address of the host
    tls: str = ""  # as "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: in clear


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not delivered, and a later attempt may succeed."""

    reply: Reply
    reason: Reason

    @property
    def may_be_twice(self) -> bool:
        return self.reason is Reason.UNANSWERED_END


@dataclass(frozen=True, slots=True)
class Failed:
    """Not delivered, and no later attempt would."""

    reply: Reply
    reason: Reason


Outcome = Delivered | Deferred | Failed


def of_fact(reason: Reason, detail: str = "", *, host: str = "") -> Deferred | Failed:
    """The outcome of something that no host said. `detail` is added to the sentence."""
    enhanced, sentence = _FACTS[reason]
    text = f"{sentence}: {detail}" if detail else sentence
    reply = Reply(0, enhanced, printable(text), host)
    return Failed(reply, reason) if enhanced.startswith("5") else Deferred(reply, reason)


def of_refusal(reply: Reply, reason: Reason = Reason.REFUSED) -> Deferred | Failed:
    """The outcome of a host's reply that is no success. Only 5yz is for good (RFC 5321 §4.2.1)."""
    return Failed(reply, reason) if reply.code >= 500 else Deferred(reply, reason)


def softened(outcome: Deferred | Failed) -> Deferred:
    """A refusal for good that concerns this moment or this host rather than the recipient."""
    reply = outcome.reply
    enhanced = "4" + reply.enhanced[1:] if reply.enhanced.startswith("5") else reply.enhanced
    return Deferred(Reply(reply.code, enhanced, reply.text, reply.host), outcome.reason)


def of_several(earlier: Deferred | Failed | None, later: Deferred | Failed) -> Deferred | Failed:
    """What several hosts of a site come to: for good only if it is with all of them."""
    return earlier if isinstance(earlier, Deferred) and isinstance(later, Failed) else later


def reply_of_lines(code: int, lines: list[bytes], host: str) -> Reply:
    """A host's reply from the texts of its lines (after the code and `-` or space).

    An enhanced code counts if it fits the code (RFC 2034 §4); it is taken off every line that repeats it.
    """
    texts = [line.decode("utf-8", "replace").strip() for line in lines]
    enhanced = ""
    if found := _ENHANCED.match(texts[0] if texts else ""):
        enhanced = found[0] if found[1] == str(code)[0] else ""
    if enhanced:
        texts = [text[len(enhanced) :].lstrip() if text.startswith(enhanced) else text for text in texts]
    text = "\n".join(printable(text) for text in texts if text)
    return Reply(code, enhanced or f"{str(code)[0]}.0.0", text[:TEXT_LIMIT_CHARACTERS], host)


TEXT_LIMIT_CHARACTERS = 2_000


def printable(text: str) -> str:
    """Whatever a stranger sent, fit for a log, a table and a DSN."""
    text = text[:TEXT_LIMIT_CHARACTERS]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


# Enhanced codes (RFC 3463; 5.1.10: RFC 7505, 5.6.7: RFC 6531). The first digit says whether it passes.
_FACTS: dict[Reason, tuple[str, str]] = {
    Reason.REFUSED: ("4.0.0", "The host refused"),
    Reason.DOMAIN_UNKNOWN: ("5.1.2", "There is no such domain"),
    Reason.DOMAIN_INVALID: ("5.1.2", "This cannot be a domain"),
    Reason.NULL_MX: ("5.1.10", "The domain takes no mail (null MX)"),
    Reason.NO_USABLE_HOST: ("5.4.4", "The domain names no host that mail could be brought to"),
    Reason.MAIL_LOOPS: ("5.4.6", "Mail for this domain comes back to this server"),
    Reason.DNS_TEMPORARY: ("4.4.3", "The domain cannot be looked up now"),
    Reason.UNREACHABLE: ("4.4.1", "No host of the domain can be reached"),
    Reason.UNWELCOME: ("4.3.2", "The host takes no mail from us now"),
    Reason.TIMED_OUT: ("4.4.2", "The host did not answer in time"),
    Reason.CONNECTION_LOST: ("4.4.2", "The connection broke"),
    Reason.NOT_SMTP: ("4.5.0", "What the host answered is not SMTP"),
    Reason.UNANSWERED_END: ("4.4.2", "The message was sent whole and the host did not say whether it took it"),
    Reason.TLS_FAILED: ("4.7.5", "TLS is required and could not be agreed on"),
    Reason.SIGN_IN_FAILED: ("4.7.8", "The host refused our credentials"),
    Reason.TOO_BIG: ("5.3.4", "The message is larger than the host takes"),
    Reason.NEEDS_UTF8: ("5.6.7", "The message needs SMTPUTF8, which the host does not offer"),
    Reason.TOO_MANY_RECIPIENTS: ("4.5.3", "The host takes no more recipients at once"),
    Reason.CONTENT_UNAVAILABLE: ("4.3.0", "The message cannot be read now"),
    Reason.ADDRESS_INVALID: ("5.1.3", "The address cannot be written in SMTP"),
}
