"""Silent numerics made loud: warnings are errors, one thread, seeds in sight."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
# Only a hang takes so long, on whatever machine. It is pytest's own limit for tests, for what
# fixtures wait for: those stand outside pytest's.
HANG_S = 3600.0

settings.register_profile(
    "house", deadline=None, derandomize=True, max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],  # it looks at the clock
)  # fmt: skip
settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of shared real speech and codec weights; tests that need it skip without it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("shared/data lies not beside the repository")
    return folder
