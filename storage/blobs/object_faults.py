"""What went wrong with a request to S3, and what follows: whether it is tried again, and what the caller is told.

Three kinds of trouble. S3 is *away*: no connection, no answer in time, an answer that says "not now"; trying again is
right, and it counts for the breaker. S3 *refuses*: key, bucket, certificate or clock are wrong; trying again changes
nothing until somebody acts. Or the *object* is the matter: it is missing, cut or held.
"""

import http.client
import ssl
from dataclasses import dataclass
from enum import StrEnum
from xml.etree.ElementTree import ParseError

import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError


class Outcome(StrEnum):
    """How a request ended, as it is counted."""

    OK = "ok"
    MISSING = "missing"
    CUT = "cut"
    ALTERED = "altered"
    HELD = "held"
    REFUSED = "refused"
    SLOW = "slow"
    AWAY = "away"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Fault:
    """`reason` is for the log: plain words, no secret in it."""

    outcome: Outcome
    reason: str
    is_retried: bool = False
    is_away: bool = False  # counts for the breaker


class ObjectsMisconfigured(Exception):
    """The bucket cannot be used as it is set up; somebody has to act."""


class ObjectsHeld(Exception):
    """S3 keeps these objects: they are under a legal hold. All others of the request are gone."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"{len(names)} objects are under a legal hold and stay, {names[0]} first")
        self.names = names


class AnswerBroken(Exception):
    """The connection ended in the middle of an answer. It may be the object: so it is not held against S3."""


class AnswerCut(Exception):
    """An answer with fewer octets than were asked for."""


class UploadAltered(Exception):
    """S3 has other octets than were sent."""


class LockMissing(Exception):
    """A legal hold in a bucket without Object Lock."""


class Absent(Exception):
    """There is no such object, whatever the server said."""


class AnswerSlow(Exception):
    """An answer that trickles."""


TROUBLE = (
    MinioException,
    urllib3.exceptions.HTTPError,
    OSError,
    ParseError,
    UnicodeDecodeError,
    AnswerBroken,
    AnswerCut,
    UploadAltered,
    AnswerSlow,
    LockMissing,
    Absent,
)
"""What a request may raise that is not a mistake of ours."""

_NOT_NOW = frozenset(
    {
        "InternalError",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "XMinioServerNotInitialized",
    }
)
_ALTERED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"})
_REFUSALS = {
    "AccessDenied": "S3 denies access: the access key may not do this, or its secret is wrong",
    "AccountProblem": "S3 says that the account has a problem",
    "AllAccessDisabled": "S3 says that all access is disabled",
    "InvalidAccessKeyId": "S3 does not know the access key",
    "NoSuchBucket": "the bucket does not exist",
    "RequestTimeTooSkewed": "the clocks of S3 and of this host differ too much",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "AuthorizationHeaderMalformed": "S3 does not take our signature: is the region right?",
    "InvalidRegion": "the region is wrong",
    "InvalidBucketState": "the bucket does not allow this",
    "XMinioStorageFull": "the disks of S3 are full",
    "XMinioAdminBucketQuotaExceeded": "the bucket is full",
}


def fault_of(trouble: BaseException) -> Fault:
    """What one of TROUBLE means."""
    match trouble:
        case S3Error():
            return _of_code(trouble.code or "", trouble.response.status if trouble.response is not None else 0)
        case ServerError():
            return _of_status(trouble.status_code)
        case InvalidResponseError():
            return _of_status(int(trouble._code))
        case AnswerCut():
            return Fault(Outcome.CUT, str(trouble), is_retried=True)
        case LockMissing():
            return Fault(Outcome.REFUSED, "the bucket has no Object Lock, so S3 cannot hold objects")
        case Absent():
            return Fault(Outcome.MISSING, "there is no such object")
        case UploadAltered():
            return Fault(Outcome.ALTERED, "S3 received other octets than were sent", is_retried=True)
        case AnswerBroken():
            return Fault(Outcome.AWAY, str(trouble), is_retried=True)
        case urllib3.exceptions.ProtocolError() if isinstance(_innermost(trouble), http.client.IncompleteRead):
            return Fault(Outcome.AWAY, "an answer ended early", is_retried=True)
        case urllib3.exceptions.SSLError() if _is_about_trust(trouble):
            return Fault(Outcome.REFUSED, f"the certificate of S3 is not trusted: {_innermost(trouble)}", is_away=True)
        case urllib3.exceptions.ReadTimeoutError() | AnswerSlow() | TimeoutError():
            return Fault(Outcome.SLOW, "S3 does not answer in time", is_retried=True, is_away=True)
        case urllib3.exceptions.NameResolutionError():
            return Fault(Outcome.AWAY, "the name of the S3 host is not known", is_retried=True, is_away=True)
        case urllib3.exceptions.NewConnectionError() | urllib3.exceptions.ConnectTimeoutError():
            return Fault(Outcome.AWAY, "S3 cannot be reached", is_retried=True, is_away=True)
        case urllib3.exceptions.HTTPError() | OSError():
            return Fault(
                Outcome.AWAY, f"the connection to S3 broke: {_innermost(trouble)}", is_retried=True, is_away=True
            )
        case _:
            return Fault(Outcome.AWAY, "what answers does not speak S3", is_retried=True, is_away=True)


def _of_code(code: str, status: int) -> Fault:
    if code in _NOT_NOW:
        return Fault(Outcome.AWAY, f"S3 says not now ({code})", is_retried=True, is_away=True)
    if code in ("NoSuchKey", "NoSuchVersion"):
        return Fault(Outcome.MISSING, "there is no such object")
    if code == "InvalidRange":
        return Fault(Outcome.CUT, "the object ends before the range that was asked for", is_retried=True)
    if code in _ALTERED:
        return Fault(Outcome.ALTERED, "S3 received other octets than were sent", is_retried=True)
    if code in _REFUSALS:
        return Fault(Outcome.REFUSED, _REFUSALS[code])
    if status >= 500:
        return _of_status(status)
    return Fault(Outcome.REFUSED, f"S3 refuses: {code}")


def _of_status(status: int) -> Fault:
    if status in (408, 429) or (status >= 500 and status not in (501, 505, 507)):
        return Fault(Outcome.AWAY, f"S3 answers {status}", is_retried=True, is_away=True)
    return Fault(Outcome.REFUSED, f"what answers in place of S3 says {status}")


def _is_about_trust(trouble: BaseException) -> bool:
    return isinstance(_innermost(trouble), ssl.SSLCertVerificationError)


def _innermost(trouble: BaseException) -> BaseException:
    """urllib3 wraps what the socket raised, as an argument or as the cause."""
    inner = next((each for each in trouble.args if isinstance(each, BaseException)), None) or trouble.__cause__
    return trouble if inner is None else _innermost(inner)
