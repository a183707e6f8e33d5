"""Metrics of several processes, as one scrape sees them."""

import os
import subprocess
import sys
from pathlib import Path

from mailserver.observability.metrics import clear_directory, forget_ended_processes

PROCESS = """
import sys
from mailserver.observability.metrics import counter, exposition, gauge, histogram, name_role
name_role(sys.argv[1])
COUNT = counter("doors_opened", "Doors that were opened.", "door")
OPEN = gauge("open_doors", "Doors open now.")
SPEED = histogram("door_seconds", "How long a door takes.")
COUNT.labels("front").inc(int(sys.argv[2]))
OPEN.labels().set(1)
SPEED.labels().observe(0.3)
sys.stdout.buffer.write(exposition())
"""


def run_process(directory: Path, role: str, count: int) -> str:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    arguments = [sys.executable, "-c", PROCESS, role, str(count)]
    return subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout


def test_any_process_answers_for_all_and_roles_are_told_apart(tmp_path: Path) -> None:
    clear_directory(tmp_path)
    run_process(tmp_path, "imap", 2)
    run_process(tmp_path, "smtp", 5)
    scrape = run_process(tmp_path, "imap", 1)
    assert 'waypost_doors_opened_total{door="front",role="imap"} 3.0' in scrape
    assert 'waypost_doors_opened_total{door="front",role="smtp"} 5.0' in scrape
    assert 'waypost_door_seconds_count{role="smtp"} 1.0' in scrape


def test_gauges_of_ended_processes_go_and_their_counters_stay(tmp_path: Path) -> None:
    clear_directory(tmp_path)
    run_process(tmp_path, "imap", 2)
    run_process(tmp_path, "imap", 2)
    forget_ended_processes(tmp_path)
    scrape = run_process(tmp_path, "imap", 1)
    assert 'waypost_open_doors{role="imap"} 1.0' in scrape
    assert 'waypost_doors_opened_total{door="front",role="imap"} 5.0' in scrape


def test_gauges_of_running_processes_are_kept(tmp_path: Path) -> None:
    clear_directory(tmp_path)
    mine = tmp_path / f"gauge_livesum_{os.getpid()}.db"
    mine.touch()
    forget_ended_processes(tmp_path)
    assert mine.exists()


def test_a_new_start_begins_at_nought(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    clear_directory(directory)
    run_process(directory, "imap", 2)
    clear_directory(directory)
    assert list(directory.iterdir()) == []
    assert directory.stat().st_mode & 0o777 == 0o700
