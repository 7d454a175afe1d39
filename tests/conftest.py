"""Silent numerics made loud: warnings are errors, one thread, seeds in sight."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import HealthCheck, settings

from tests.slow_parts import part_of

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
# Only a hang takes so long, on whatever machine. It is pytest's own limit for tests, for what
# fixtures wait for: those stand outside pytest's.
HANG_S = 3600.0

settings.register_profile(
    "tests", deadline=None, derandomize=True, max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],  # it looks at the clock
)  # fmt: skip
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every slow test the marker of its part."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(part_of(item.path))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of shared real speech and codec weights; tests that need it skip without it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("shared/data lies not beside the repository")
    return folder
