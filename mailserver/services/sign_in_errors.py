"""Refusals of signing in with a browser, named for the fact. Only pages and JMAP meet them."""

from enum import StrEnum


class SignInRefused(Exception):
    """Each subclass is one fact."""


class SessionEnded(SignInRefused):
    """The session is over, or never was."""

    def __init__(self) -> None:
        super().__init__("the session has ended")


class CodeWrong(SignInRefused):
    """No code of the authenticator app that is good now and was not used, nor a recovery code that is left."""

    def __init__(self) -> None:
        super().__init__("the code is wrong")


class FactorExists(SignInRefused):
    """There is an authenticator app already."""

    def __init__(self) -> None:
        super().__init__("there is an authenticator app already")


class FactorMissing(SignInRefused):
    """What was to be changed is not there, perhaps no longer."""

    def __init__(self) -> None:
        super().__init__("there is no such thing")


class TooMany(SignInRefused):
    """A person has at most so many of these."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} already")
        self.limit = limit


class PasskeyProblem(StrEnum):
    UNREADABLE = "unreadable"  # what the browser sent is nothing
    TOO_LATE = "too late"  # the page stood open for too long, or the answer was used
    UNKNOWN = "unknown"  # nobody here has this passkey, or somebody else
    WRONG = "wrong"  # the signature, the place or the counter is not what it must be
    UNVERIFIED = "unverified"  # the authenticator did not ask who is there: good beside a password only


class PasskeyRefused(SignInRefused):
    def __init__(self, problem: PasskeyProblem) -> None:
        super().__init__(f"the passkey was refused: {problem}")
        self.problem = problem
