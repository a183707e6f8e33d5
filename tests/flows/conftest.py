"""One installation for each worker, whole and running before every test."""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.flows.installation import Installation, end_at_once, start_installation

_INSTALLATION = pytest.StashKey[Installation]()


@pytest.fixture(scope="session")
def _one_installation(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    started = start_installation(tmp_path_factory.mktemp("flows"), int(worker))
    request.config.stash[_INSTALLATION] = started
    yield started
    end_at_once(started)
    if not request.session.testsfailed:  # else somebody may want to look
        started.delete()


@pytest.fixture
def installation(_one_installation: Installation) -> Iterator[Installation]:
    """It runs, whatever the test before has done to it; and no role may write of an error while a test uses it."""
    if not _one_installation.is_up:
        _one_installation.up()
    before = _one_installation.log_positions()
    yield _one_installation
    errors = _one_installation.logged_errors(before)
    assert not errors, "\n".join(errors[:5])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (installation := item.config.stash.get(_INSTALLATION, None)) is not None:
        report.sections.append(("Logs of the installation end", installation.log_tails()))
    return report
