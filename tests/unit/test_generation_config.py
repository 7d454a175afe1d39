"""What the generation stage refuses, in one line each; which trainings a protocol has."""

from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.generation.config import GenerationProtocol, GeneratorPoint, ReplaySection
from engram_audio.generation.protocol import Training, choose_point, trainings_of
from engram_audio.generation.replay import replays_of
from engram_audio.plan import Plan
from tests import studies
from tests.unit.generator_material import HEADS, LATENT

POINT = GeneratorPoint(learning_rate=1e-3, dropout=0.0)
OTHER = GeneratorPoint(learning_rate=2e-3, dropout=0.1)
NO_REPLAY = ReplaySection(passes=(), is_permuted=False, minimum_visits=())


def protocol(**changes: Any) -> GenerationProtocol:
    values = {
        "seeds": (0, 1), "points": (POINT, OTHER), "shorter_steps": (50,),
        "repeated_arms": ("SM",), "replay": NO_REPLAY, "ladder": None, "share_sweep": None,
        "wider": None,
    }  # fmt: skip
    return GenerationProtocol(**{**values, **changes})


LADDER = {"work_factors": [2.0], "num_samples": 4}
SHARES = {"shares": [0.3], "held": ["num_resident"]}
REFUSED = [
    ("ladder", {**LADDER, "work_factors": [2.0, 2.0]}, "stands after 2.0"),
    ("ladder", {**LADDER, "work_factors": [0.5]}, "generation.ladder.work_factors"),
    ("share_sweep", {**SHARES, "shares": [0.0, 0.3]}, "generation.share_sweep.shares"),
    ("share_sweep", {**SHARES, "held": ["memory"]}, "generation.share_sweep.held"),
    ("probes.names", ["flips"], "generation.probes.names"),
    ("representations", ["nobody"], "generation.representations: 'nobody' is not one of"),
    ("generators", [], "generation.generators: name at least one"),
    ("generators", ["one_fram"], "did you mean 'one_frame'"),
    ("library.one_frame.arms", ["S", "SM", "F"], "library.one_frame.arms: lacks SMx"),
    ("library.one_frame.recipe", "nothing", "library.one_frame.recipe: 'nothing' is not one of"),
    ("library.one_frame.insertion.key", "last_frame.speaker_centred.kmeans_128", "insertion.key"),
    ("library.one_frame.insertion.places", ["before_block_9"], "insertion.places"),
    ("shorter_steps", [300], "generation.shorter_steps: 300 is not below the num_steps"),
    ("shorter_steps", [10], "do not end within the num_steps"),
    ("evaluation.free_arms", ["SM"], "generation.evaluation.free_arms: lacks F"),
    ("evaluation.scored_horizons_frames", [1, 4], "must end with horizon_frames"),
    ("points", [POINT.model_dump()] * 2, "stands there twice"),
    ("worlds", ["nowhere"], "generation.worlds: 'nowhere' is not defined"),
    ("worlds", ["table"], "only what calibration.worlds.names lists is run"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), REFUSED)
def test_what_cannot_run_is_one_line_that_names_its_key(place: str, value: Any, message: str):
    config = studies.changed(studies.study("demo"), f"generation.{place}", value)
    with pytest.raises(InputError) as error:
        parse_config(config)
    assert message in str(error.value) and "generation" in str(error.value)


OF_STATES = {
    "generation.factorized.arms": [
        (["S", "F"], "generation.factorized.arms: lacks SM, without", "add it"),
        (["SM", "S"], "generation.factorized.arms: lacks F, without", "add it"),
        (["S"], "generation.factorized.arms: lacks SM and F, without", "add them"),
    ],
    "generation.representations": [
        (["mel_pca", "mel_pca_state"], "generation.factorized.states: mel_pca_state is in "
         "generation.representations too", "take it out of one"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("place", OF_STATES)
def test_what_is_generated_over_z_dyn_has_its_arms_and_stands_once(place: str):
    config = studies.study("real_speech", "generation", "generation_states")
    config["prediction"]["representations"] = ["mel_pca", "mel_pca_state"]
    parse_config(config)
    for value, found, remedy in OF_STATES[place]:
        with pytest.raises(InputError) as error:
            parse_config(studies.changed(config, place, value))
        assert found in str(error.value) and remedy in str(error.value)
        assert "\n" not in str(error.value)


def test_clean_keys_beside_noise_have_no_control():
    config = studies.study("demo")
    model = config["generation"]["library"]["one_frame"]["model"]
    model |= {"noise": {"kind": "uniform"}, "key_reads": "clean"}
    with pytest.raises(InputError, match=r"one_frame\.model\.key_reads: clean keys beside noised"):
        parse_config(config)


def test_a_world_has_its_own_arms_and_a_study_without_generators_has_no_run():
    config = studies.study("demo")
    config["calibration"]["worlds"]["names"] = ["iid", "table"]
    config["generation"]["worlds"] = ["table"]
    plan = Plan(parse_config(config)).generation
    assert [run.representation for run in plan.runs()] == ["mel_pca", "world_table"]
    assert len(plan.tables_of_worlds()) == 5
    config["generation"] |= {"representations": [], "worlds": []}
    assert Plan(parse_config(config)).generation.runs() == []


def test_every_arm_has_the_same_points_seeds_and_lengths():
    found = trainings_of(("S", "SM"), protocol(), 100, {"S": POINT, "SM": OTHER})
    of_arm = {arm: [one for one in found if one.arm == arm and not one.is_repeat]
              for arm in ("S", "SM")}  # fmt: skip
    sizes = {arm: [(one.seed, one.num_steps) for one in own] for arm, own in of_arm.items()}
    assert sizes["S"] == sizes["SM"] == [(0, 50), (1, 50), (0, 100), (1, 100)]
    assert all(one.point == OTHER for one in of_arm["SM"])
    assert [one for one in found if one.is_repeat] == [Training("SM", 0, 100, OTHER, True)]
    assert len({one.label for one in found}) == len(found)


def test_the_point_with_the_lowest_score_is_chosen_and_one_point_trains_nothing():
    tried: list[Training] = []

    def score(training: Training) -> float:
        tried.append(training)
        return 1.0 if training.point == OTHER else float("inf")  # the other diverged

    assert choose_point("SM", protocol(), 100, score) == OTHER
    assert [(one.seed, one.num_steps) for one in tried] == [(0, 100), (0, 100)]
    tried.clear()
    assert choose_point("SM", protocol(points=(POINT,)), 100, score) == POINT and not tried


def test_a_replay_trains_s_and_sm_alike_and_sm_with_codes_dealt_anew():
    asked = ReplaySection(passes=(1, 4), is_permuted=True, minimum_visits=(4,))
    found = replays_of(protocol(replay=asked), {"S": POINT, "SM": OTHER}, 7)
    assert {one.training.num_steps for one in found} == {7, 28}
    assert all(one.training.point == OTHER for one in found), "both at the memory's point"
    kinds = [(one.training.arm, one.is_permuted) for one in found if one.num_passes == 4]
    assert sorted(kinds) == [("S", False)] * 2 + [("SM", False)] * 2 + [("SM", True)] * 2
    assert replays_of(protocol(), {"S": POINT, "SM": POINT}, 7) == []


ADDED = {"kind": "additive", "key": "last_frame.raw.kmeans_128", "ngram_orders": [1],
         "num_hashes": 1, "table_rows": None, "table_learning_rate_factor": 5.0}  # fmt: skip
LATENT_MEMORY = {**LATENT, "key": "last_frame.raw.kmeans_128", "places": ["head"]}


@pytest.mark.parametrize(("asked", "own", "message"), [
    ({"share_sweep": SHARES}, {"insertion": ADDED}, "share_sweep: .* has rows of one size"),
    ({"share_sweep": SHARES}, {"insertion": LATENT_MEMORY}, "share_sweep: .* has rows of one"),
    ({"probes": ["clamp"]}, {"insertion": LATENT_MEMORY}, "probes.names: .* does not read"),
    ({"probes": ["clamp"]}, {"head": HEADS["energy"]}, "probes.names: is answered in nats"),
    ({"ladder": LADDER}, {"head": HEADS["energy"]}, "ladder: is answered in nats"),
])  # fmt: skip
def test_sizes_and_probes_need_a_memory_and_a_head_that_have_them(
    asked: dict[str, Any], own: dict[str, Any], message: str
):
    config = studies.study("demo")
    stage = config["generation"]
    row = stage["library"]["one_frame"]
    row["arms"] = ["S", "SM", "F", "SMx"]
    row["insertion"] = own.get("insertion", row["insertion"])
    row["model"]["head"] = own.get("head", row["model"]["head"])
    for name, value in asked.items():
        stage[name] = {**stage["probes"], "names": value} if name == "probes" else value
    with pytest.raises(InputError, match=rf"generation\.{message}"):
        parse_config(config)


def test_prices_and_probes_are_files_of_studies_that_ask_for_them():
    """Nothing is asked in the demo; a probe that needs sound is asked of what a codec decodes."""
    config = studies.study("demo")
    plan = Plan(parse_config(config)).generation
    assert plan.prices() == plan.probes() == []
    stage = config["generation"]
    stage["ladder"], stage["worlds"] = LADDER, ["table"]
    config["calibration"]["worlds"]["names"] = ["iid", "table"]
    stage["probes"]["names"] = ["flip", "reencoding"]
    plan = Plan(parse_config(config)).generation
    assert [len(files) for files in (plan.prices(), plan.probes())] == [2, 3]
    sounds = [path for path in plan.probes() if path.endswith("reencoded.parquet")]
    assert sounds == ["<results>/generation/mel_pca/one_frame/reencoded.parquet"]
