"""What the load generator is told: one dataclass, and the command line made from it."""

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class Options:
    name: str = _option("server", "written into each line")
    imap: str = _option("127.0.0.1:19143", "host:port of IMAP with STARTTLS")
    imaps: str = _option("127.0.0.1:19993", "host:port of IMAP over TLS")
    smtp: str = _option("127.0.0.1:19025", "host:port of SMTP")
    lmtp: str = _option("127.0.0.1:19024", "host:port of LMTP")
    submissions: str = _option("127.0.0.1:19465", "host:port of submission over TLS")
    sink_port: int = _option(18_925, "where mail for other systems is to arrive")
    user_pattern: str = _option("u%04d@example.test", "address of user number n")
    password: str = _option("pw", "of every user")
    server_pids: str = _option("", "roots of the server's process trees, by commas")
    queue_pids: str = _option("", "those of them that hold the queue of mail for other systems")
    seed: int = _option(1, "of the corpus")
    rep: int = _option(0, "whose mailboxes are fetched: a user not fetched before makes a first fetch")
    connections: int = _option(8, "at once")
    per_connection: int = _option(10, "messages for each SMTP connection")
    users: int = _option(40, "recipients of deliveries, users of login_select")
    messages: int = _option(3000, "delivered or appended")
    mix: str = _option("4096:3,51200:1", "sizes of those as octets:weight,...")
    logins: int = _option(1000, "")
    fetches: int = _option(10_000, "bodies; a fifth of it pages")
    ranges: int = _option(600, "of 50 bodies")
    stores: int = _option(8000, "STORE commands")
    loops: int = _option(400, "of the mixed workload")
    listed: int = _option(10_000, "messages of the mailbox that is listed")
    huge: int = _option(0, "messages of the mailbox of tiny messages; 0: none")
    fresh: int = _option(3, "repetitions that find a mailbox never fetched before")
    fresh_headers: int = _option(3, "the same for the header list")
    work_users: int = _option(8, "users with a mailbox for bodies, STORE and the mixed loop")
    work_messages: int = _option(1000, "messages in each of those")
    idle: int = _option(200, "connections that wait in IDLE")
    push_rate: float = _option(40.0, "messages a second to them")
    idle_steps: str = _option(
        "100,1100", "numbers of idle connections; memory is that of those beyond the first number"
    )
    queued: int = _option(100_000, "recipients in the queue; a tenth of them comes before")
    sink_delay_s: float = _option(2.0, "how long hosts take for a message, to make the queue long")
    settle_s: float = _option(3.0, "wait before memory is read")
    timeout_s: float = _option(180.0, "bound on one workload's waits")


def parse_options(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """The options, and the workloads."""
    parser = argparse.ArgumentParser(prog="tests.bench.load")
    parser.add_argument("workloads", nargs="+")
    for each in fields(Options):
        assert each.default is not MISSING
        kind = type(each.default)
        text = f"{each.metadata['help']} (default {each.default!r})"
        parser.add_argument("--" + each.name.replace("_", "-"), type=kind, default=each.default, help=text)
    told = vars(parser.parse_args(arguments))
    workloads = told.pop("workloads")
    return Options(**told), workloads
