"""What a rule with `gpu=1` asks for, by the lines of a site; the real rules: test_profiles.py."""

import pytest

from engram_audio.errors import InputError
from engram_audio.partitions import gpu_resources


@pytest.mark.parametrize("partition", [{}, {"gpu_partition": "None"}])
@pytest.mark.parametrize("request_line", [{}, {"gpu_request": "gpus"}])
def test_a_site_without_a_gpu_partition_leaves_rules_where_snakemake_sends_them(
    partition: dict[str, str], request_line: dict[str, str]
):
    assert gpu_resources({**partition, **request_line, "slurm_partition": "all"}) == {}


@pytest.mark.parametrize("gres", ["gpu:1", "gpu:a100:1", "gpu:A100_80:2"])
def test_a_gres_takes_the_place_of_the_gpu(gres: str):
    """The plugin refuses a job with both."""
    assert gpu_resources({"gpu_partition": "p", "gpu_request": gres}) == {
        "slurm_partition": "p", "gpu": None, "gres": gres,
    }  # fmt: skip


@pytest.mark.parametrize("line", ["None", "no", "gpu", "gpus=1", "gpu:", "gpu:a100", "gres=gpu:1"])
def test_any_other_request_is_refused_with_what_is_allowed(line: str):
    """A line left empty is one of them: it may mean no GPU or the usual one."""
    with pytest.raises(InputError, match=r"gpu_request is .*allowed are gpus, none, and a gres"):
        gpu_resources({"gpu_request": line})
