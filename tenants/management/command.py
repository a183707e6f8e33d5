"""What the administration commands share: actions, the reader's language, and refusals without tracebacks."""

import argparse
import getpass
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.utils import OperationalError, ProgrammingError

from tenants.errors import LanguageUnknown, TenantsError
from tenants.locality import known_language
from tenants.management.wording import language_of_terminal, refusal, say

Options = Mapping[str, Any]


def _parsers_under(actions: "argparse._SubParsersAction[CommandParser]") -> Iterator[CommandParser]:
    """Those of the actions, and of actions within them."""
    for parser in actions.choices.values():
        yield parser
        for inner in parser._actions:
            if isinstance(inner, argparse._SubParsersAction):
                yield from _parsers_under(inner)


class ActionCommand(BaseCommand):
    """`manage.py NAME ACTION …`: subclasses add the parsers of their actions, each with `run=` the method to call.

    `chinese` is what a command says beyond the words that all share, by the English text.
    """

    requires_system_checks = ()
    language = "en"
    chinese: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.suppressed_base_arguments = {"--version", "-v", "--settings", "--pythonpath", "--no-color"}

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        self.add_actions(actions)
        for each in (parser, *_parsers_under(actions)):
            each.add_argument(
                "--speak", metavar="LANGUAGE", default=argparse.SUPPRESS, help="answer in en or zh-hans (default: LANG)"
            )

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        raise NotImplementedError

    def handle(self, *_arguments: Any, **options: Any) -> None:
        try:
            self.language = known_language(options["speak"]) if "speak" in options else language_of_terminal()
        except LanguageUnknown as error:
            raise CommandError(refusal("en", error)) from None
        if connection.vendor == "unknown" and options.get("needs_database", True):
            raise self.failure("WAYPOST_OWNER_DATABASE_URL is not set, so there is no database to work on.")
        run: Callable[[Options], None] = options["run"]
        try:
            run(options)
        except TenantsError as error:
            raise CommandError(refusal(self.language, error)) from None
        except OperationalError as error:
            raise self.failure("The database cannot be reached: {reason}", reason=str(error).splitlines()[0]) from None
        except ProgrammingError as error:
            if "does not exist" not in str(error):
                raise
            raise self.failure("The database has no tables yet. Run: manage.py migrate") from None

    def tell(self, text: str, **values: object) -> None:
        self.stdout.write(self.phrase(text, **values))

    def failure(self, text: str, **values: object) -> CommandError:
        return CommandError(self.phrase(text, **values))

    def word(self, text: str) -> str:
        return self.phrase(text)

    def phrase(self, text: str, **values: object) -> str:
        if self.language == "zh-hans" and text in self.chinese:
            return self.chinese[text].format(**values)
        return say(self.language, text, **values)

    def demand_yes(self, options: Options, what: str) -> None:
        """Deleting has no way back: a person says so in the command itself."""
        if not options["yes"]:
            raise self.failure("This cannot be undone. Say --yes to delete {what}.", what=what)

    def password_from_stdin(self) -> str:
        """The first line, without its line end, so that the password stands in no process list; a person is asked."""
        line = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise self.failure("There was no password on standard input.")
        return line
