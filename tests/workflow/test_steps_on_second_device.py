"""Steps that use a GPU run on a stand-in for one: no operation mixes devices."""

import subprocess
import sys

import pytest

from tests import studies

pytestmark = pytest.mark.slow

STEPS = {
    "test_codec_training_steps.py": "latents_extracted",
    "test_factorizer_steps.py": "how_it_fares or exported",
    "test_memory_steps.py": "summary_states",
    "test_rollout_steps.py": "all_modes",
}


@pytest.mark.parametrize(("name", "chosen"), STEPS.items())
def test_steps_mix_no_devices(name: str, chosen: str):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-p", "tests.second_device", f"tests/workflow/{name}", "-k", chosen]
    done = subprocess.run(command, cwd=studies.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
