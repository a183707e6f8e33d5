"""What the tests of messages as HTML share."""

import pytest


@pytest.fixture
def seconds_of_work() -> float:
    """So much of a processor's time may the largest message take. A tenth of it is usual."""
    return 10.0
