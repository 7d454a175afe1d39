"""What makes no sense is refused in one line that names the key, whichever stage it concerns.

Each case is the base study, or the demo, with one or two values that contradict themselves or
another value.
"""

from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from tests import studies

BASE, DEMO = studies.study(), studies.study("demo")
HEAD = "prediction.library.gaussian_mixture"
LOOKUP, ENGRAM = "memory.library.robust", "memory.library.engram"
CHARGED, GRID = "factorizer.library.charged", "factorizer.grids.grid"
ROLLOUT_GRID = "rollout.grids.grid"
GENERATOR, LAWS = "generation.library.one_frame", "learned_keys"
INSERTION, EVALUATION = f"{GENERATOR}.insertion", "generation.evaluation"
TUNING, POINT = "recipes.cpu.tuning", {"dropout": 0.0, "weight_decay": 0.1}
RATE = {"learning_rate": 1e-3, "dropout": 0.0}
CORPUS = "corpora.librispeech"
GATE = "decision.operative_gate"
DEMO_CORPUS = DEMO["corpora"]["demo_speech"]
# Changes by key, and the key that the line begins with.
CASES: list[tuple[dict[str, Any], str]] = [
    # views
    ({"views.medial_range": []}, "views.medial_range: the list is too short"),
    ({"views.medial_range": [0.5]}, "views.medial_range: the list is too short"),
    ({"views.medial_range": [0.5, 0.5]}, "views.medial_range"),
    ({"views.medial_range": [0.8, 0.2]}, "views.medial_range"),
    ({"views.medial_range": [-0.2, 0.8]}, "views.medial_range"),
    ({"views.medial_range": [0.2, 17.0]}, "views.medial_range"),
    ({"views.with\x1f": 1}, "views.with\\x1f: unknown key"),
    ({"views.two\nlines": 1}, "views.two\\nlines: unknown key"),
    ({"views.divergence_factor": 1e300}, "views.divergence_factor"),
    ({"views.slices": ["medial"], "views.judged_slices": ["medial"]}, "views"),
    ({"views.judged_slices": [["medial"]]}, "views.judged_slices"),
    ({"views.slices": [{"medial": 1}]}, "views.slices"),
    # recipes
    ({"recipes.cpu.warmup_steps": 5000}, "recipes.cpu.warmup_steps"),
    ({"recipes.cpu.learning_rate": 1e300}, "recipes.cpu.learning_rate"),
    ({"recipes.marginal.weight_decay": 1e300}, "recipes.marginal.weight_decay"),
    ({"recipes.cpu.num_steps": 2**40}, "recipes.cpu.num_steps"),
    # corpora and splits
    ({f"{CORPUS}.subsets": ["train-clean-100"] * 2}, f"{CORPUS}.subsets"),
    ({f"{CORPUS}.minimum_duration_s": 1e9}, f"{CORPUS}.minimum_duration_s"),
    ({f"{CORPUS}.root": ""}, f"{CORPUS}.root"),
    ({f"{CORPUS}.root": " "}, f"{CORPUS}.root"),
    ({"corpora.world_iid": BASE["corpora"]["librispeech"]}, "corpora.world_iid"),
    ({"corpora.demo_speech": {**DEMO_CORPUS, "num_utterances_per_speaker": 1}},
     "corpora.demo_speech.num_utterances_per_speaker"),
    ({"pathvars": {"results": ""}}, "pathvars.results"),
    # codecs
    ({"codecs.library.mimi.checkpoint": "./", "codecs.library.mimi.revision": None},
     "codecs.library.mimi"),
    ({"codecs.library.mimi.checkpoint": "/", "codecs.library.mimi.revision": None},
     "codecs.library.mimi"),
    ({"codecs.library.mimi.checkpoint": ""}, "codecs.library.mimi.checkpoint"),
    ({"codecs.library.mimi.revision": None}, "codecs.library.mimi.revision"),
    ({"codecs.library.mimi.weights_sha256": None}, "codecs.library.mimi.weights_sha256"),
    ({"codecs.library.mel_pca.sample_rate_hz": 10}, "codecs.library.mel_pca"),
    ({"codecs.library.mel_pca.hop_s": 1e-5}, "codecs.library.mel_pca"),
    ({"codecs.library.mel_pca.magnitude_floor": 5.0}, "codecs.library.mel_pca.magnitude_floor"),
    ({"codecs.library.mel_pca.split_seed": -1}, "codecs.library.mel_pca.split_seed"),
    ({"codecs.library.vae.channels": 2048}, "codecs.library.vae"),
    ({"codecs.library.vae.strides": [4, -4, 4, 4, 5]}, "codecs.library.vae.strides"),
    ({"codecs.library.vae.loss.adversarial_warmup_steps": 500_000}, "codecs.library.vae"),
    ({"codecs.library.vae.loss.spectral_windows_samples": [128, 128]},
     "codecs.library.vae.loss.spectral_windows_samples"),
    ({"codecs.ladders.mel_vae.betas": [-1.0, 1.0]}, "codecs.ladders.mel_vae.betas"),
    ({"codecs.ladders.mel_vae.betas": [1.0, 1.0]}, "codecs.ladders.mel_vae.betas"),
    # representations
    ({"representations.library.mimi.surrogates": ["var", "var"]},
     "representations.library.mimi.surrogates"),
    ({"representations.library.mimi_overlap_control.permute_blocks_s": 1e9},
     "representations.library.mimi_overlap_control.permute_blocks_s"),
    ({"representations.surrogates.var_order": 10**6}, "representations.surrogates.var_order"),
    ({"representations.extraction.batch_tolerance": 1e300},
     "representations.extraction.batch_tolerance"),
    ({"representations.library.mine": {
        "kind": "arrays", "path": "", "table": "t.csv", "frame_rate_hz": 12.5, "num_shards": 1,
        "latent_space": "mine", "is_causal": True}}, "representations.library.mine.path"),
    ({"representations.library.mine": {
        "kind": "arrays", "path": "a", "table": "t.csv", "frame_rate_hz": 1e30, "num_shards": 1,
        "latent_space": "mine", "is_causal": True}}, "representations.library.mine.frame_rate_hz"),
    # structure
    ({"keys.library.pca.inputs": ["raw", "raw"]}, "keys.library.pca.inputs"),
    ({"keys.library.pca.quantizers": [{"kind": "quantile_bins", "num_bins": 4}] * 2},
     "keys.library.pca.quantizers"),
    ({"keys.library.predictive.quantizers": [
        {"kind": "kmeans", "codebook_sizes": [16, 64]}, {"kind": "kmeans", "codebook_sizes": [64]}
    ]}, "keys.library.predictive"),
    ({"structure.confidence_quantiles": [0.5, 0.5]}, "structure.confidence_quantiles"),
    ({"structure.std_floor": 5.0}, "structure.std_floor"),
    ({"keys.ridge": 1e300}, "keys.ridge"),
    ({"structure.lags_frames": [1, 2, 10**7]}, "structure.lags_frames"),
    # decision
    ({"decision.literal_gate.maximum_ratio": -0.6}, "decision.literal_gate.maximum_ratio"),
    ({"decision.literal_gate.maximum_ratio": 5.0}, "decision.literal_gate.maximum_ratio"),
    ({"decision.literal_gate.maximum_transfer_loss": -1.0},
     "decision.literal_gate.maximum_transfer_loss"),
    ({f"{GATE}.minimum_added_fraction": 5.0}, f"{GATE}.minimum_added_fraction"),
    ({f"{GATE}.minimum_added_fraction": -0.5}, f"{GATE}.minimum_added_fraction"),
    ({f"{GATE}.minimum_added_nats": -1.0}, f"{GATE}.minimum_added_nats"),
    ({f"{GATE}.minimum_share_of_information": 2.0}, f"{GATE}.minimum_share_of_information"),
    ({"decision.keys": ["pca.raw.kmeans_256"]}, "decision.keys"),
    ({f"{GATE}.minimum_advantage": 0.02}, f"{GATE}.minimum_advantage"),
    ({f"{GATE}.maximum_transfer_loss": -0.2}, f"{GATE}.maximum_transfer_loss"),
    # prediction
    ({"prediction.nulls.orders": [0, 1]}, "prediction.nulls.orders"),
    ({"prediction.nulls.orders": [-2]}, "prediction.nulls.orders"),
    ({"prediction.nulls.orders": [1, 1]}, "prediction.nulls.orders"),
    ({"prediction.nulls.orders": [1, 9]}, "prediction.nulls.orders"),
    ({"prediction.nulls.ridges": [-1.0]}, "prediction.nulls.ridges"),
    ({"prediction.ridge_mixture.maximum_components": 4}, "prediction.ridge_mixture."),
    ({"prediction.nulls.ridges": [1.0, 1.0]}, "prediction.nulls.ridges"),
    ({"prediction.targets": ["delta", "delta"]}, "prediction.targets"),
    ({f"{HEAD}.log_sigma_range": [7.0, -7.0]}, f"{HEAD}.log_sigma_range"),
    ({f"{HEAD}.log_sigma_range": [1.0, 1.0]}, f"{HEAD}.log_sigma_range"),
    ({"prediction.library.direction_magnitude.log_sigma_range": [2.0, -5.0]},
     "prediction.library.direction_magnitude.log_sigma_range"),
    ({"prediction.evaluation.quantiles": [1.5]}, "prediction.evaluation.quantiles"),
    ({"prediction.evaluation.quantiles": [-0.05]}, "prediction.evaluation.quantiles"),
    ({"prediction.evaluation.quantiles": [0.5, 0.5]}, "prediction.evaluation.quantiles"),
    ({f"{HEAD}.trunk.width": 10**9}, f"{HEAD}.trunk.width"),
    # factorizer
    ({f"{CHARGED}.loss.utility_horizons_frames": [0]}, f"{CHARGED}.loss.utility_horizons_frames"),
    ({f"{CHARGED}.loss.utility_horizons_frames": [-3]}, f"{CHARGED}.loss.utility_horizons_frames"),
    ({f"{CHARGED}.loss.utility_weight": 0.1}, f"{CHARGED}.loss"),
    ({f"{CHARGED}.loss.utility_horizons_frames": [1, 400]}, CHARGED),
    ({f"{CHARGED}.loss.kl.mode": "target"}, f"{CHARGED}.loss.kl"),
    ({f"{GRID}.state_dims": [0]}, f"{GRID}.state_dims"),
    ({f"{GRID}.state_dims": [4, 4]}, f"{GRID}.state_dims"),
    ({f"{GRID}.target_nats": [-5.0]}, f"{GRID}.target_nats"),
    ({f"{GRID}.rollout_horizons_frames": [-1]}, f"{GRID}.rollout_horizons_frames"),
    ({f"{GRID}.target_nats": [5.0, 5.0000001]}, GRID),
    ({f"{GRID}.variant": "rollout", f"{GRID}.rollout_horizons_frames": [64]}, GRID),
    ({"factorizer.health.minimum_effective_rank": 5.0}, "factorizer.health.minimum_effective_rank"),
    ({"factorizer.health.minimum_movement": 9.0}, "factorizer.health.minimum_movement"),
    # memory
    ({"memory.representations": ["mimi", "mimi"]}, "memory.representations"),
    ({f"{LOOKUP}.temperatures": [-1.0]}, f"{LOOKUP}.temperatures"),
    ({f"{LOOKUP}.temperatures": [0.0]}, f"{LOOKUP}.temperatures"),
    ({f"{LOOKUP}.strengths": [1.0, 1.0]}, f"{LOOKUP}.strengths"),
    ({f"{LOOKUP}.spread_shrinkages_frames": [-10.0]}, f"{LOOKUP}.spread_shrinkages_frames"),
    ({f"{LOOKUP}.shrinkages_frames": [1.0, 1.0]}, f"{LOOKUP}.shrinkages_frames"),
    ({f"{LOOKUP}.key": "last_frame.raw.kmeans_7"}, f"{LOOKUP}.key"),
    ({f"{ENGRAM}.key": "pca.speaker_centred.kmeans_256"}, f"{ENGRAM}.key"),
    (
        {f"{LOOKUP}.key": "pca.speaker_centred.kmeans_256",
         "rollout.library.energy_engram.base": "memory:gaussian_mixture:robust"},
        "rollout.library.energy_engram.base",
    ),
    ({f"{LOOKUP}.key": "pca.raw.kmeans_256", f"{LOOKUP}.ngram_orders": [2, 1]}, LOOKUP),
    ({f"{LOOKUP}.key": "pca.raw.product_2x64", f"{LOOKUP}.num_neighbors": 2}, LOOKUP),
    ({f"{LOOKUP}.num_neighbors": 4096}, LOOKUP),
    ({f"{ENGRAM}.ngram_orders": [2, 2]}, f"{ENGRAM}.ngram_orders"),
    ({f"{ENGRAM}.kernel_frames": 10**7}, f"{ENGRAM}.kernel_frames"),
    ({"memory.verdict.minimum_gain_nats": 1e300}, "memory.verdict.minimum_gain_nats"),
    # comparison
    ({"comparison.representations": ["mimi", "mimi"]}, "comparison.representations"),
    ({"comparison.ladders": {"rates": []}}, "comparison.ladders.rates"),
    ({"comparison.reconstruction.maximum_duration_s": 1e-9},
     "comparison.reconstruction.maximum_duration_s"),
    # rollout
    ({"rollout.representations": ["mimi", "mimi"]}, "rollout.representations"),
    ({"rollout.scored_horizons_frames": [1, 1, 2]}, "rollout.scored_horizons_frames"),
    ({"rollout.scored_horizons_frames": [8, 4]}, "rollout.scored_horizons_frames"),
    ({"rollout.library.one_step_codebook.guard.key": "pca.raw.kmeans"},
     "rollout.library.one_step_codebook.guard.key"),
    ({"rollout.injections_frames": [4, 4]}, "rollout.injections_frames"),
    ({"rollout.injections_frames": [4, 500]}, "rollout"),
    ({"rollout.autocovariance_lags_frames": 500}, "rollout"),
    ({"rollout.autocovariance_lags_frames": 32}, "rollout"),
    ({"rollout.support_frames": 10}, "rollout.support_frames"),
    ({"rollout.bars.maximum_excess_ratio": -0.05}, "rollout.bars.maximum_excess_ratio"),
    ({"rollout.bars.maximum_excess_diverged": 0.0}, "rollout.bars.maximum_excess_diverged"),
    ({"rollout.bars.minimum_kept": 5.0}, "rollout.bars.minimum_kept"),
    ({"rollout.bars.minimum_skill": 95.0}, "rollout.bars.minimum_skill"),
    ({"rollout.library.direct.horizons_frames": [-1, 2]}, "rollout.library.direct.horizons_frames"),
    ({"rollout.library.direct.order_frames": 64}, "rollout.library.direct.order_frames"),
    ({"rollout.library.noise.running_level": 0.5}, "rollout.library.noise"),
    ({f"{ROLLOUT_GRID}.horizons_frames": [-4]}, f"{ROLLOUT_GRID}.horizons_frames"),
    ({f"{ROLLOUT_GRID}.horizons_frames": [1, 4]}, ROLLOUT_GRID),
    ({f"{ROLLOUT_GRID}.horizons_frames": [4, 4]}, f"{ROLLOUT_GRID}.horizons_frames"),
    ({f"{ROLLOUT_GRID}.teacher_weights": [-0.1]}, f"{ROLLOUT_GRID}.teacher_weights"),
    ({f"{ROLLOUT_GRID}.state_weights": [-1.0]}, f"{ROLLOUT_GRID}.state_weights"),
    ({f"{ROLLOUT_GRID}.teacher_weights": [0.1, 0.10000001]}, ROLLOUT_GRID),
    ({f"{ROLLOUT_GRID}.bases": ["gaussian_mixture"] * 2}, f"{ROLLOUT_GRID}.bases"),
    ({"rollout.library.grid_k4_t0_s0_gaussian_mixture": BASE["rollout"]["library"]["earlier_pure"],
      "rollout.methods": [*BASE["rollout"]["methods"], "grid_k4_t0_s0_gaussian_mixture"]},
     ROLLOUT_GRID),
    # learned keys
    ({f"{LAWS}.keys": [], f"{LAWS}.direction_keys": []}, f"{LAWS}.keys"),
    ({f"{LAWS}.keys": ["pca.raw.kmeans_65536"], f"{LAWS}.direction_keys": []}, f"{LAWS}.keys"),
    ({f"{LAWS}.surrogates": ["var", "var"]}, f"{LAWS}.surrogates"),
    ({f"{LAWS}.targets": []}, f"{LAWS}.targets: nothing stands there"),
    ({f"{LAWS}.lags_frames": [0]}, f"{LAWS}.lags_frames"),
    ({f"{LAWS}.prior_strengths": [-1.0]}, f"{LAWS}.prior_strengths"),
    ({f"{LAWS}.ridges": [0.0]}, f"{LAWS}.ridges"),
    ({f"{LAWS}.oracle_sizes": [8192]}, f"{LAWS}: oracle_sizes"),
    ({f"{LAWS}.oracle_sizes": [1]}, f"{LAWS}: oracle_sizes"),
    ({f"{LAWS}.maximum_frames": 1000, f"{LAWS}.oracle_sizes": [2048]}, f"{LAWS}: oracle_sizes"),
    ({f"{LAWS}.direction_keys": ["pca.raw.kmeans_4096"]}, f"{LAWS}.direction_keys"),
    ({f"{LAWS}.bank.num_components": [64, 32]}, f"{LAWS}.bank: num_components"),
    ({f"{LAWS}.bank.num_components": [2000], f"{LAWS}.bank.maximum_frames": 1000},
     f"{LAWS}.bank: num_components"),
    ({f"{LAWS}.bank.noise_fraction": 2.0}, f"{LAWS}.bank.noise_fraction"),
    ({f"{LAWS}.predictor.cluster_frames": 200}, f"{LAWS}.predictor.cluster_frames"),
    ({f"{LAWS}.verdict.minimum_share": 1.5}, f"{LAWS}.verdict.minimum_share"),
    ({"keys.library.learned.inputs": ["increments"]}, "keys.library.learned: inputs"),
    ({"keys.library.learned.lag_frames": 0}, "keys.library.learned.lag_frames"),
    ({"keys.library.learned.quantizers": [{
        "kind": "tuned", "codebook_sizes": [16], "recipe": "key_tuning", "first_beta": 30.0,
        "last_beta": 5.0, "speaker_weight": 0.0}]}, "keys.library.learned.quantizers.0: last_beta"),
    ({"keys.library.learned.quantizers": [{"kind": "product_laws", "num_codes": [16]}]},
     "keys.library.learned.quantizers.0.num_codes: the list is too short; write two values"),
    ({"keys.library.learned.quantizers": [
        {"kind": "distilled", "teacher": "laws_9", "recipe": "key"}]},
     "keys.library.learned: quantizers: teacher"),
    ({"keys.library.learned.quantizers": [
        {"kind": "bits", "num_routes": 9, "num_bits": 9, "recipe": "key"}]},
     "keys.library.learned.quantizers.0: bits"),
    # tuning
    ({TUNING: {"points": [], "last_learning_rate_factors": []}}, f"{TUNING}.points: nothing"),
    ({TUNING: {"points": [POINT, POINT], "last_learning_rate_factors": []}},
     f"{TUNING}.points: {{'dropout': 0.0, 'weight_decay': 0.1}} stands there twice"),
    ({TUNING: {"points": [{**POINT, "dropout": 1.0}], "last_learning_rate_factors": []}},
     f"{TUNING}.points.0.dropout"),
    ({TUNING: {"points": [POINT], "last_learning_rate_factors": [1.0]}},
     f"{TUNING}: last_learning_rate_factors"),
    ({TUNING: {"points": [POINT], "last_learning_rate_factors": [-0.5]}},
     f"{TUNING}.last_learning_rate_factors"),
    ({"recipes.joint.tuning": None}, "memory."),
    ({"recipes.matched": {**BASE["recipes"]["cpu"], "tuning": None},
      "memory.controls.recipe": "matched"}, "memory.controls.recipe"),
    ({"recipes.key.tuning": BASE["recipes"]["cpu"]["tuning"]}, "recipes.key.tuning"),
    ({"recipes.k_step.tuning": BASE["recipes"]["cpu"]["tuning"]}, "recipes.k_step.tuning"),
    ({"recipes.marginal.tuning": BASE["recipes"]["cpu"]["tuning"]}, "recipes.marginal.tuning"),
    ({"recipes.factorizer.tuning": BASE["recipes"]["cpu"]["tuning"]}, "recipes.factorizer.tuning"),
    ({f"{ENGRAM}.dilation_frames": 8}, f"{ENGRAM}.dilation_frames"),
    ({"memory.controls.curve_widths": [8, 8]}, "memory.controls.curve_widths"),
    ({"memory.controls.datastore_neighbors": 10**6}, "memory.controls"),
    # generation
    ({"generation.seeds": [0, 0]}, "generation.seeds"),
    ({"generation.points": [RATE, RATE]}, "generation.points: {'learning_rate': 0.001"),
    ({"generation.points": []}, "generation.points: nothing stands there"),
    ({"generation.shorter_steps": [3000]}, "generation.shorter_steps"),
    ({"generation.shorter_steps": [1500, 500]}, "generation.shorter_steps"),
    ({"generation.replay.passes": [4, 1]}, "generation.replay.passes"),
    ({"generation.repeated_arms": ["SMv"]}, "generation.repeated_arms"),
    ({f"{EVALUATION}.free_arms": ["S", "SM", "F", "SMv"]}, f"{EVALUATION}.free_arms"),
    ({f"{EVALUATION}.free_arms": ["S", "SM"]}, f"{EVALUATION}.free_arms"),
    ({f"{EVALUATION}.scored_horizons_frames": [1, 4]}, EVALUATION),
    ({f"{EVALUATION}.noise_sds": [-0.1]}, f"{EVALUATION}.noise_sds"),
    ({f"{GENERATOR}.arms": ["S", "SM", "SMx"]}, f"{GENERATOR}.arms"),
    ({f"{GENERATOR}.recipe": "cpu"}, "recipes.cpu.tuning"),
    ({f"{GENERATOR}.model.width": 30}, f"{GENERATOR}.model: width"),
    ({f"{GENERATOR}.model.burn_in_frames": 96}, f"{GENERATOR}.model: burn_in_frames"),
    ({f"{GENERATOR}.model.short_context_frames": 90}, f"{GENERATOR}.model: short_context_frames"),
    ({f"{GENERATOR}.model.noise": {"kind": "fixed", "share": 1.5}}, f"{GENERATOR}.model.noise"),
    ({f"{GENERATOR}.model.noise": {"kind": "uniform"}, f"{GENERATOR}.model.key_reads": "clean"},
     f"{GENERATOR}.model.key_reads"),
    ({f"{GENERATOR}.model.head.log_sigma_range": [7.0, -7.0]}, f"{GENERATOR}.model.head"),
    ({f"{GENERATOR}.model.head.num_components": 2**31 - 1},
     f"{GENERATOR}.model.head.num_components"),
    ({f"{GENERATOR}.model.head": {"kind": "plugin", "plugin": "nobody", "settings": {}}},
     f"{GENERATOR}.model.head.plugin"),
    ({"generation.generators": ["flow_head"],
      "generation.library.flow_head.model.head.distilled_share": 0.0},
     "generation.library.flow_head.model.head: num_steps"),
    ({"generation.generators": ["latent_ngrams"], "generation.replay.is_permuted": True},
     "generation.replay.is_permuted"),
    ({"generation.generators": ["latent_ngrams"], "generation.replay.is_permuted": False,
      "generation.library.latent_ngrams.arms": ["S", "SM", "F", "SMx", "SMc"]},
     "arm SMc: a memory of kind latent_ngrams has no gate"),
    ({"generation.generators": ["energy_head"], "generation.probes.names": ["clamp"]},
     "generation.probes.names: needs a head with an exact density"),
    ({"generation.generators": ["latent_ngrams"], "generation.replay.is_permuted": False,
      "generation.probes.names": ["flip"]},
     "generation.probes.names: generation.library.latent_ngrams.insertion"),
    ({f"{GENERATOR}.arms": ["S", "SM", "F", "SMx", "SMr"]},
     "arm SMr: a memory of kind minimal has no router"),
    ({f"{GENERATOR}.arms": ["S", "SM", "F", "SMx", "SMu"]},
     "arm SMu: a memory of kind minimal has no n-grams"),
    ({f"{INSERTION}.key": "pca.speaker_centred.kmeans_256"}, f"{INSERTION}.key"),
    ({f"{INSERTION}.ngram_orders": [2]}, f"{INSERTION}: table_rows"),
    ({f"{INSERTION}.has_signs": True}, f"{INSERTION}: has_signs"),
    ({f"{INSERTION}.table_rows": 1}, f"{INSERTION}.table_rows"),
    ({f"{INSERTION}.places": ["before_block_9"]}, f"{INSERTION}.places"),
    ({f"{INSERTION}.places": ["short"]}, f"{INSERTION}.places"),
    ({"generation.generators": ["engram"], "generation.replay.is_permuted": False,
      "generation.library.engram.insertion.kernel_frames": 4000},
     "generation.library.engram.insertion: its key"),
    ({"generation.worlds": ["table"], "calibration.worlds.names": ["iid"]}, "generation.worlds"),
    ({"generation.bars.maximum_health_loss": -1.0}, "generation.bars.maximum_health_loss"),
    # statistics, calibration, report
    ({"statistics.confidence": 1.0}, "statistics.confidence"),
    ({"statistics.bootstrap_draws": 1000}, "statistics.bootstrap_draws: is gone"),
    ({"calibration.worlds.names": ["iid", "iid"]}, "calibration.worlds.names"),
    ({"calibration.worlds.surrogates": ["var", "var"]}, "calibration.worlds.surrogates"),
    ({"calibration.power.num_studies": 10}, "calibration.power.num_studies"),
    ({"calibration.power.num_draws_per_fit": 1}, "calibration.power.num_draws_per_fit"),
    ({"calibration.power.num_truth_speakers": 0}, "calibration.power.num_truth_speakers"),
    ({"calibration.power.minimum_coverage": 0.98}, "calibration.power"),
    ({"report.title": " "}, "report.title"),
]  # fmt: skip
# A study that cannot be judged, as far as its settings say so.
UNJUDGED: list[tuple[dict[str, Any], str]] = [
    ({"splits.eval_fraction": 0.01}, "splits.eval_fraction"),
    ({"splits.eval_fraction": 0.99}, "splits.eval_fraction"),
    ({"memory.num_folds": 40}, "memory.num_folds"),
]


def refusal(document: dict[str, Any], changes: dict[str, Any]) -> str:
    """The message for a changed study."""
    for key, value in changes.items():
        document = studies.changed(document, key, value)
    with pytest.raises(InputError) as caught:
        parse_config(document)
    return str(caught.value)


def identity(case: tuple[dict[str, Any], str]) -> str:
    return ";".join(f"{key}={value!r}"[-60:] for key, value in case[0].items())


@pytest.mark.parametrize(("changes", "key"), CASES, ids=map(identity, CASES))
def test_a_contradiction_is_one_line_that_names_its_key(changes: dict[str, Any], key: str):
    lines = refusal(BASE, changes).splitlines()
    assert len(lines) == 1 and lines[0].startswith(key), lines


@pytest.mark.parametrize(("changes", "key"), UNJUDGED, ids=map(identity, UNJUDGED))
def test_speakers_that_settings_fix_are_counted_before_anything_runs(
    changes: dict[str, Any], key: str
):
    (line,) = refusal(DEMO, changes).splitlines()
    assert line.startswith(key), line


def test_a_definition_that_no_list_names_may_be_unusable():
    """Libraries define: a recipe that nothing trains with is not held against the study."""
    spare = {**BASE["recipes"]["cpu"], "warmup_steps": 10**6}
    parse_config(studies.changed(BASE, "recipes.spare", spare))


def test_lookups_and_guards_may_read_keys_that_are_centred_by_speaker():
    """The mean so far comes with their contexts, along a free run too."""
    key = "pca.speaker_centred.kmeans_256"
    document = studies.changed(BASE, f"{LOOKUP}.key", key)
    parse_config(studies.changed(document, "rollout.library.one_step_codebook.guard.key", key))


FIRST_MEMORY = {
    "memory": {"representations": ["arrays"], "memories": ["robust"],
               "library": {"robust": {"key": "pca.raw.kmeans_64"}}}
}  # fmt: skip


def test_a_first_memory_over_arrays_is_two_lists():
    """What docs/extend.md says: its name, and the representation. The rest fits together."""
    config = parse_config(studies.merged(studies.study("arrays"), FIRST_MEMORY))
    assert list(config.memory.memories) == ["robust"]


@pytest.mark.parametrize(
    ("key", "value"), [("memory.seeds", [1]), ("memory.lags_frames", [7])]
)  # fmt: skip
def test_a_memory_of_an_untrained_seed_or_lag_names_the_list_that_trains_it(key, value):
    document = studies.merged(studies.study("arrays"), FIRST_MEMORY)
    listed = f"prediction.{key.partition('.')[2]}"
    with pytest.raises(InputError, match=f"{key}: .* only what {listed} .*is run"):
        parse_config(studies.changed(document, key, value))
