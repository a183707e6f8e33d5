"""Full-text search in a large mailbox: how fast texts are found, what indexing costs, and how large the index is.

    python -m tests.bench.search_index [--messages 100000] [--times 40]

One person gets text mail of the realistic mix (every message another text). When upkeep has indexed it, the index is
emptied and filled once more, and the CPU time of the whole installation meanwhile, without what it takes when idle, is
what indexing costs. Then SEARCH TEXT is asked over one IMAP connection for a rare word, for words of two Chinese
characters, for phrases of three words, and for what else people type; and the same over JMAP, as a page of 50 with
snippets. Everything is on this machine.
"""

import argparse
import asyncio
import base64
import http.client
import itertools
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from deploy.local.places import make_places
from deploy.local.postgres import Postgres
from tests.bench.cold import TEXT_KINDS
from tests.bench.corpus import RARE, RARE_CJK
from tests.bench.corpus_words import CHINESE
from tests.bench.installation import Waypost, remove_waypost
from tests.bench.load.imap_client import ImapClient
from tests.bench.load.options import Options
from tests.bench.load.processes import ProcessTrees
from tests.bench.load.rig import Rig
from tests.bench.target import Ports

USER = 0
ASKED_MS, ASKED_JMAP_MS = 10.0, 50.0
_HTTP = 80
_IDLE_S = 10.0
_LOOK_S, _IDLE_SHARE = 5.0, 0.1
_TABLES = "message_text, text_state, text_vocabulary"


async def fill(rig: Rig, count: int) -> None:
    client = await rig.imap(USER)
    letters = (rig.corpus.message(i) for i in itertools.count() if rig.corpus.kind(i) in TEXT_KINDS)
    left = count
    while left:
        some = list(itertools.islice(letters, min(200, left)))
        await client.append_many(b"INBOX", some)
        left -= len(some)
        if left % 10_000 == 0:
            print(f"{count - left:,} messages", flush=True)
    client.close()


def wait_until_indexed(url: str) -> None:
    behind = """
        SELECT count(*) FROM account_state a LEFT JOIN text_state s USING (tenant_id, account_id)
         WHERE a.used_messages > 0 AND coalesce(s.modseq, 0) < a.modseq
    """
    with psycopg.connect(url, autocommit=True) as sql:
        while sql.execute(behind).fetchone() != (0,):
            time.sleep(0.2)


def wait_until_idle(tree: ProcessTrees) -> None:
    """PostgreSQL tidies up after so much mail for a while. Gives up after some minutes."""
    for _ in range(60):
        cpu_s = tree.cpu_s()
        time.sleep(_LOOK_S)
        if tree.cpu_s() - cpu_s < _IDLE_SHARE * _LOOK_S:
            return
    print("the installation did not come to rest", flush=True)


def index_anew(url: str, tree: ProcessTrees, messages: int) -> None:
    with psycopg.connect(url, autocommit=True) as sql:
        idle_s = tree.cpu_s()
        time.sleep(_IDLE_S)
        idle_s = (tree.cpu_s() - idle_s) / _IDLE_S
        sql.execute(f"TRUNCATE {_TABLES}")
        started, cpu_s = time.monotonic(), tree.cpu_s()
        wait_until_indexed(url)
        wall_s = time.monotonic() - started
        cpu_s = tree.cpu_s() - cpu_s - idle_s * wall_s
        grown = sql.execute("SELECT pg_relation_size('message_text_words')").fetchone()
        words = sql.execute("SELECT pg_total_relation_size('message_text') - pg_relation_size('message_text_words')")
        table = words.fetchone()
        assert grown is not None
        assert table is not None
        print(
            f"indexing  {cpu_s / messages * 1000:.2f} ms CPU a message (asked 1.5), {wall_s:,.0f} s\n"
            f"index     {grown[0] / messages:,.0f} octets a message (asked 3,000), words {table[0] / messages:,.0f}",
            flush=True,
        )
        sql.execute("VACUUM (ANALYZE) message_text")


def phrases_of(rig: Rig, count: int) -> list[str]:
    """Three words in a row, as they stand in some messages of plain text."""
    dice = random.Random(3)
    plain = (i for i in itertools.count(500) if rig.corpus.kind(i) == "plain")
    found = []
    while len(found) < count:
        body = rig.corpus.message(next(plain)).partition(b"\r\n\r\n")[2].decode()
        words = re.findall(r"[a-z]{4,}(?: [a-z]{4,}){2}", body)
        if words:
            found.append(dice.choice(words))
    return found


def needles(rig: Rig, times: int) -> dict[str, list[str]]:
    chinese = [word for word in CHINESE if len(word) == 2]
    dice = random.Random(7)
    rare = rig.corpus._english.words[5_000:19_000]
    return {
        "a rare word, planted": [RARE] * times,
        "rare words": dice.sample(rare, times),
        "rare Chinese, planted": [RARE_CJK] * times,
        "two Chinese characters": [dice.choice(chinese) for _ in range(times)],
        "a phrase of three words": phrases_of(rig, times),
        "the beginning of a word": [word[:5] for word in dice.sample(rare, times)],
        "a common word": [dice.choice(rig.corpus._english.words[50:400]) for _ in range(times)],
        "nothing": [f"qqzzx{n}" for n in range(times)],
    }


async def over_imap(client: ImapClient, text: str) -> tuple[float, int]:
    started = time.perf_counter()
    answer = await client.search_text(b"UTF-8", text.encode())
    seconds = time.perf_counter() - started
    found = re.search(rb"\* SEARCH([ 0-9]*)", answer)
    return seconds, len(found[1].split()) if found else 0


def over_jmap(connection: http.client.HTTPConnection, rig: Rig, account: str, text: str) -> tuple[float, int]:
    filter_ = {"text": f'"{text}"' if " " in text else text}
    asked = {
        "using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"],
        "methodCalls": [
            ["Email/query", {"accountId": account, "filter": filter_, "limit": 50}, "0"],
            [
                "SearchSnippet/get",
                {
                    "accountId": account,
                    "filter": filter_,
                    "#emailIds": {"resultOf": "0", "name": "Email/query", "path": "/ids"},
                },
                "1",
            ],
        ],
    }
    started = time.perf_counter()
    connection.request("POST", "/jmap/api/", json.dumps(asked).encode(), _headers(rig))
    told = json.loads(connection.getresponse().read())
    seconds = time.perf_counter() - started
    return seconds, len(told["methodResponses"][1][1]["list"])


def _headers(rig: Rig) -> dict[str, str]:
    who = base64.b64encode(f"{rig.address(USER)}:{rig.options.password}".encode()).decode()
    return {"Authorization": f"Basic {who}", "Content-Type": "application/json"}


def _account(connection: http.client.HTTPConnection, rig: Rig) -> str:
    connection.request("GET", "/jmap/session/", headers=_headers(rig))
    session = json.loads(connection.getresponse().read())
    return str(next(iter(session["accounts"])))


def tell(door: str, what: str, measured: Sequence[tuple[float, int]], asked_ms: float | None) -> None:
    seconds = sorted(each for each, _ in measured)

    def at(share: float) -> float:
        return seconds[min(len(seconds) - 1, int(share * len(seconds)))] * 1000

    hits = sorted(each for _, each in measured)[len(measured) // 2]
    asked = f" (asked {asked_ms:.0f})" if asked_ms else ""
    print(f"{door}  {what:26} p50 {at(0.5):7.1f} ms  p95 {at(0.95):7.1f} ms{asked}  {hits:6,} found", flush=True)


async def measure(waypost: Waypost, ports: Ports, url: str, messages: int, times: int) -> None:
    rig = Rig(Options(name="waypost", imap=waypost.doors.imap, imaps=waypost.doors.imaps))
    await fill(rig, messages)
    await asyncio.to_thread(wait_until_indexed, url)
    tree = ProcessTrees(waypost.root_pids())
    await asyncio.to_thread(index_anew, url, tree, messages)
    await asyncio.to_thread(wait_until_idle, tree)
    client = await rig.imap(USER, b"INBOX")
    await over_imap(client, "warm")
    asked = needles(rig, times)
    for what, texts in asked.items():
        measured = [await over_imap(client, text) for text in texts]
        tell("IMAP", what, measured, None if what == "a common word" else ASKED_MS)
    client.close()
    connection = http.client.HTTPConnection("127.0.0.1", ports.waypost + _HTTP)
    account = _account(connection, rig)
    over_jmap(connection, rig, account, "warm")
    for what, texts in asked.items():
        tell("JMAP", what, [over_jmap(connection, rig, account, text) for text in texts], ASKED_JMAP_MS)
    connection.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=40, help="how often each kind of text is looked for")
    parser.add_argument("--port-base", type=int, default=Ports().waypost)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="waypost-search-") as directory:
        var, ports = Path(directory) / "var", Ports(waypost=options.port_base)
        waypost = Waypost(var, ports)
        try:
            waypost.start_for_seeding()
            url = Postgres(make_places(var)).urls().owner
            asyncio.run(measure(waypost, ports, url, options.messages, options.times))
        finally:
            waypost.stop()
            remove_waypost(var)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
