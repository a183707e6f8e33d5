"""`manage.py search`: the index of words, and building it anew by hand."""

import argparse

import psycopg
from django.core.management.base import CommandParser

from storage import message_text
from storage.management.store_command import StoreCommand
from storage.message_text import IndexSize
from tenants.management.command import Options
from tenants.quota import format_octets

CHINESE = {
    "{rows} rows of words: {words}; the index of them: {index}": "{rows} 行词语：{words}；其索引：{index}",
    "{count} accounts have changes that the index was not asked about yet.": "{count} 个账户有尚未编入索引的更改。",
    "The index was built anew: {before} before, {after} now.": "索引已重建：之前 {before}，现在 {after}。",
    "The index cannot be built anew: {reason}": "无法重建索引：{reason}",
}


class Command(StoreCommand):
    help = "The index of words that full-text search uses."
    chinese = CHINESE

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        show = actions.add_parser("status", help="how large it is, and what it does not know yet")
        show.set_defaults(run=self.status)
        anew = actions.add_parser(
            "reindex", help="build it anew beside itself; searching and indexing go on meanwhile (minutes to hours)"
        )
        anew.set_defaults(run=self.reindex)

    def status(self, _options: Options) -> None:
        size = self._size()
        self.tell(
            "{rows} rows of words: {words}; the index of them: {index}",
            rows=size.rows,
            words=format_octets(size.table_octets),
            index=format_octets(size.index_octets),
        )
        behind = self.with_database(message_text.behind)
        self.tell("{count} accounts have changes that the index was not asked about yet.", count=len(behind))

    def reindex(self, _options: Options) -> None:
        before = self._size()
        try:
            with psycopg.connect(self.needed("WAYPOST_OWNER_DATABASE_URL"), autocommit=True) as owner:
                owner.execute("DROP INDEX CONCURRENTLY IF EXISTS message_text_words_ccnew")  # one that was given up
                owner.execute("REINDEX INDEX CONCURRENTLY message_text_words")
        except psycopg.Error as error:
            raise self.failure("The index cannot be built anew: {reason}", reason=error) from None
        self.tell(
            "The index was built anew: {before} before, {after} now.",
            before=format_octets(before.index_octets),
            after=format_octets(self._size().index_octets),
        )

    def _size(self) -> IndexSize:
        return self.with_database(message_text.size)
