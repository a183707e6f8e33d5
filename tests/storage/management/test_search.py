"""`manage.py search`, as an administrator types it."""

import psycopg
import pytest

from tests.conftest import RunningServices


@pytest.mark.parametrize(("language", "words"), [("C.UTF-8", "rows of words"), ("zh_CN.UTF-8", "行词语")])
def test_how_large_the_index_is(
    services: RunningServices, monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    done = services.manage("search", "status")
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_the_index_is_built_anew_and_what_was_given_up_is_cleared_away(
    services: RunningServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with psycopg.connect(services.owner_url, autocommit=True) as owner:
        owner.execute("CREATE INDEX message_text_words_ccnew ON message_text (tenant_id)")
        done = services.manage("search", "reindex")
        assert done.returncode == 0, done.stderr
        assert "built anew" in done.stdout
        left = owner.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^message_text_words_ccnew'").fetchone()
    assert left == (0,)
