"""What is written is what was trained: round trips of densities, nulls and references."""

import json

import numpy as np
import pytest
import torch

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.densities.factory import build_conditional
from engram_audio.densities.fit import fit_marginals
from engram_audio.densities.null_storage import (
    pack_linear_nulls,
    pack_reference,
    unpack_linear_nulls,
    unpack_reference,
)
from engram_audio.densities.nulls import base_for
from engram_audio.densities.storage import (
    density_spec,
    pack_density,
    pack_marginals,
    unpack_models,
)
from tests.unit.prediction_material import head_settings, make_world, recipe, white_noise

KINDS = (
    "gaussian_mixture", "student_t_mixture", "low_rank_mixture", "direction_magnitude", "flow",
)  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return make_world(white_noise(4), num_train_speakers=2, num_eval_speakers=1)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_density_scores_the_same_after_reading(world, kind: str, noise: float, tmp_path):
    """Log densities are equal bit for bit, the dequantisation floor included."""
    material, settings = world.material, head_settings(kind)
    base = base_for(material.linear_nulls, 1, "delta", True, True).fit.arrays
    scales = material.reference.input_scales
    model = build_conditional(settings, base, 4, scales, np.full(4, noise), 3).eval()
    arrays, header = pack_density("delta", model, base, density_spec(settings, 4))
    write_bundle(tmp_path / "m.safetensors", arrays, {"models": {"delta": header}})
    found, read = read_bundle(tmp_path / "m.safetensors")
    again = unpack_models(found, read["models"], scales)["delta"].eval()
    batch = material.data("val", 1).batch(torch.arange(8), torch.device("cpu"))
    with torch.no_grad():
        assert torch.equal(model.log_prob(batch), again.log_prob(batch))
        draws = [m.sample(batch, 2, torch.Generator().manual_seed(0)) for m in (model, again)]
    assert torch.equal(*draws)


def test_marginals_nulls_and_reference_round_trip(world, tmp_path):
    """Grown marginals, linear nulls and train statistics come back as they were."""
    material, settings = world.material, head_settings("student_t_mixture")
    fits = fit_marginals(settings, recipe(), material, 0)
    arrays, header = pack_marginals("head", settings, fits)
    reference_arrays, reference = pack_reference(material.reference)
    null_arrays, linear_nulls = pack_linear_nulls(list(material.linear_nulls))
    header = {"marginals": header, "reference": reference, "nulls": linear_nulls}
    write_bundle(tmp_path / "x.safetensors", arrays | reference_arrays | null_arrays, header)
    found, read = read_bundle(tmp_path / "x.safetensors")
    again = unpack_reference(found, read["reference"])
    np.testing.assert_array_equal(again.speakers.means, material.reference.speakers.means)
    assert again.num_targets == material.reference.num_targets
    for first, second in zip(
        material.linear_nulls, unpack_linear_nulls(found, read["nulls"]), strict=True
    ):
        assert first[:3] == second[:3]
        np.testing.assert_array_equal(first.fit.arrays.scale, second.fit.arrays.scale)
    batch = material.data("val", 1).batch(torch.arange(8), torch.device("cpu"))
    models = unpack_models(found, read["marginals"], again.input_scales)
    for space, (fit, _) in fits.items():
        with torch.no_grad():
            assert torch.equal(fit.model.log_prob(batch), models[space].log_prob(batch))
    assert json.dumps(read["marginals"]["delta"]["growth"])
