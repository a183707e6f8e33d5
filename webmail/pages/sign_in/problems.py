"""What a page says where a service refused: which field it stands beside, and in which words."""

from dataclasses import dataclass, field

from django.http import HttpResponse

from mailserver.services.errors import LoginFailed, LoginRefused, LoginThrottled, RefusalReason
from mailserver.services.sign_in_errors import CodeWrong, PasskeyRefused, TooMany
from tenants.errors import AppPasswordExists, NameInvalid, PasskeyTaken, PasswordUnacceptable, ScopesInvalid
from webmail.pages.words import Words

FORM = "form"
EXPECTED = (
    LoginFailed,
    LoginThrottled,
    LoginRefused,
    CodeWrong,
    PasskeyRefused,
    TooMany,
    PasskeyTaken,
    AppPasswordExists,
    NameInvalid,
    PasswordUnacceptable,
    ScopesInvalid,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """`errors` by the name of the field, `form` for the whole; `status` of the answer."""

    errors: dict[str, str]
    status: int = 422
    headers: dict[str, str] = field(default_factory=dict)


def with_headers(response: HttpResponse, problem: Problem) -> HttpResponse:
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response


def problem_of(refusal: Exception, words: Words) -> Problem:
    """One of EXPECTED."""
    match refusal:
        case LoginThrottled():
            minutes = max(1, round(refusal.retry_after_s / 60 + 0.49))
            text = words["throttled"].format(minutes=minutes)
            return Problem({FORM: text}, 429, {"Retry-After": str(max(1, round(refusal.retry_after_s)))})
        case LoginRefused(reason=RefusalReason.TENANT_SUSPENDED):
            return Problem({FORM: words["tenant_suspended"]}, 403)
        case LoginRefused(reason=RefusalReason.OTHER_SCOPE):
            return Problem({FORM: words["app_password_here"]}, 403)
        case LoginRefused():
            return Problem({FORM: words["account_suspended"]}, 403)
        case LoginFailed():
            return Problem({FORM: words["wrong_password"]})
        case CodeWrong():
            return Problem({"code": words["code_wrong"]})
        case PasskeyRefused():
            return Problem({FORM: words[f"passkey_{refusal.problem}"]})
        case TooMany():
            return Problem({FORM: words["too_many"].format(limit=refusal.limit)})
        case PasskeyTaken():
            return Problem({"name": words["passkey_exists"]})
        case AppPasswordExists():
            return Problem({"name": words["name_taken"]})
        case NameInvalid():
            return Problem({"name": words["name_invalid"]})
        case PasswordUnacceptable():
            return Problem({"new": words["password_unacceptable"]})
        case ScopesInvalid():
            return Problem({"scopes": words["scopes_missing"]})
    raise refusal
