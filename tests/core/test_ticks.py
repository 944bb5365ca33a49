"""How long two changes of a file can look like one."""

import pytest

from resumable.core.ticks import until_next_tick

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
FINE = 123_456_789


@pytest.mark.parametrize(
    ("mtime", "ctime", "seconds"),
    [
        pytest.param(NOW - SECOND + FINE, NOW - SECOND + FINE, 0.0, id="long ago"),
        pytest.param(NOW - 1, NOW - SECOND, 0.02 - 1e-9, id="written just now"),
        pytest.param(NOW - SECOND + 1, NOW - 5_000_000, 0.015, id="its inode changed just now"),
        pytest.param(NOW - SECOND, NOW - SECOND, 1.0, id="whole seconds"),
        pytest.param(NOW - 3 * SECOND, NOW - SECOND, 0.0, id="whole seconds, long ago"),
        pytest.param(NOW + FINE, NOW + FINE, 0.0, id="of the future"),
        pytest.param(NOW - 1, NOW - 19_000_000, 0.02 - 1e-9, id="the later one counts"),
    ],
)
def test_wait(mtime: int, ctime: int, seconds: float) -> None:
    assert until_next_tick(NOW, mtime, ctime) == pytest.approx(seconds)
