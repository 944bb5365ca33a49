"""File systems that are cut off in the middle of an upload: the short form of the campaign.

`python -m tests.faults.real_power_loss` does the same at length.
"""

import tempfile
from pathlib import Path

import pytest

from tests.faults.crash_points import memory_folder
from tests.faults.real_power_loss import CannotMountError, Kind, run


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_upload_goes_on_after_its_file_system_was_cut_off(kind: Kind) -> None:
    with tempfile.TemporaryDirectory(prefix="power-loss-", dir=memory_folder()) as folder:
        try:
            tally = run(Path(folder), kind, cuts=10, seed=1)
        except CannotMountError as error:
            pytest.skip(str(error))
    told = "\n".join(f"{problem.kind}: {problem.story}" for problem in tally.problems)
    assert not tally.problems, told
    assert tally.kills_in_all >= 10
