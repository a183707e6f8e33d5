"""Memory of the SMTP door while large attachments come over several connections at once, and how long that takes.

    python -m tests.bench.attachments [--connections 20] [--megabytes 5] [--rounds 3] [--away]

A whole installation of its own is started, with one process of the role smtp. Each round, every connection delivers a
message with an attachment that nobody has sent before; all of them begin to send together. Printed is what the process
took at its peak beside what it had before, for each connection: all that is resident, and of that what is its own
(without the spool files, which are mapped). `--away`: S3 is stopped first, so parts wait in PostgreSQL.
"""

import argparse
import contextlib
import random
import shutil
import signal
import smtplib
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.flows.installation import Installation, Person, end_at_once, plan_installation
from tests.flows.letters import letter_with_attachment
from tests.flows.processes import forget_peak, peak_octets, resident_octets

MEBI = 1024 * 1024
_PORTS = 5  # the range of ports that the tests of flows come to last


class Own:
    """The most memory of a process that is its own, looked at every few milliseconds."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._is_over = threading.Event()
        self.before = self.now()
        self.peak = self.before
        self._thread = threading.Thread(target=self._look)

    def now(self) -> int:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("RssAnon:"))
        return int(line.split()[1]) * 1024

    def _look(self) -> None:
        while not self._is_over.wait(0.003):
            self.peak = max(self.peak, self.now())

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self._thread.start()
        yield
        self._is_over.set()
        self._thread.join()


def send_all(port: int, people: list[Person], messages: list[bytes]) -> list[float]:
    """Every message over a connection of its own, all at once; returns how long each took to be accepted."""
    together = threading.Barrier(len(messages))
    took = [0.0] * len(messages)

    def send(index: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=300) as client:
            together.wait()
            began = time.monotonic()
            refused = client.sendmail("grace@elsewhere.example", [people[index].address], messages[index])
            assert not refused
            took[index] = time.monotonic() - began

    threads = [threading.Thread(target=send, args=(index,)) for index in range(len(messages))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(took), "not all messages were accepted"
    return took


def measure(installation: Installation, connections: int, octets: int, rounds: int) -> None:
    people = installation.people(connections)
    chance = random.Random(octets)
    port = installation.port("smtp")
    [pid] = [pid for pid, role in installation.roles().items() if role == "smtp"]
    letters = [letter_with_attachment(chance.randbytes(100), f"Warm {number}") for number in range(connections)]
    send_all(port, people, letters)
    for number in range(rounds):
        letters = [letter_with_attachment(chance.randbytes(octets)) for _ in people]
        before, own = resident_octets(pid), Own(pid)
        forget_peak(pid)
        with own.watched():
            took = send_all(port, people, letters)
        all_of_it, its_own = peak_octets(pid) - before, own.peak - own.before
        print(
            f"round {number + 1}: {connections} connections, {octets / 1e6:.1f} MB each, "
            f"{all_of_it / connections / 1e6:.1f} MB a connection resident at the peak, "
            f"{its_own / connections / 1e6:.1f} MB of it the process's own; before {before / 1e6:.0f} MB, afterwards "
            f"{resident_octets(pid) / 1e6:.0f} MB; accepted after {statistics.median(took):.2f} s (median), "
            f"{max(took):.2f} s (longest)"
        )


def told(installation: Installation) -> str:
    with installation.sql() as connection:
        found = connection.execute(
            "SELECT count(*) FILTER (WHERE object_id IS NOT NULL), count(*) FILTER (WHERE is_waiting) FROM blob"
            " WHERE octets > 65536"
        ).fetchone()
    assert found is not None
    return f"large parts in objects: {found[0]}, waiting in PostgreSQL: {found[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--megabytes", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--away", action="store_true")
    chosen = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="waypost-attachments-"))
    installation = plan_installation(directory, _PORTS)
    installation.settings["WAYPOST_WORKERS"] = "1"
    installation.up()
    try:
        with contextlib.ExitStack() as afterwards:
            if chosen.away:
                afterwards.enter_context(installation.unattended())
                installation.kill("s3")
            measure(installation, chosen.connections, int(chosen.megabytes * MEBI), chosen.rounds)
            print(told(installation))
    finally:
        end_at_once(installation)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
