"""Tune and train all arms and seeds of a generator from one load of the latents; resumes.

Fails where an arm diverges, and names the learning rate.
"""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import PredictionSection, RidgeMixtureSection
from engram_audio.densities.fit import Material
from engram_audio.densities.ridge_mixture import pack_ridge_mixtures
from engram_audio.errors import InputError
from engram_audio.generation.arms import row_rms
from engram_audio.generation.budget import budget_of
from engram_audio.generation.condition_data import require_transcripts
from engram_audio.generation.config import GenerationProtocol, GeneratorPoint, GeneratorSection
from engram_audio.generation.factorized.sizes import of_equal_work
from engram_audio.generation.fit import (
    Shared,
    dimensions_of,
    prepare,
    sized_of,
    train_generator,
)
from engram_audio.generation.model_config import ARMS, ArmName
from engram_audio.generation.names import LINEAR_MIXTURE
from engram_audio.generation.nulls import by_lag, fit_nulls
from engram_audio.generation.protocol import Training, choose_point, trainings_of
from engram_audio.generation.replay import Dealing, Replay, replays_of, steps_per_pass
from engram_audio.generation.sources import ROW_SD
from engram_audio.generation.storage import pack_generator, unpack_generator
from engram_audio.generation.variants import Sized, Variant, variants_of
from engram_audio.generation.word import MEMORY
from engram_audio.keys.fitted import FittedKey
from engram_audio.provenance import canonical_json, text_digest
from engram_audio.steps._cli import Device, Fact, Frozen, LogFolder, Output, StepFiles, blame, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_factorizer
from engram_audio.steps._frames import open_frames
from engram_audio.steps._generators import read_generators, read_transcripts
from engram_audio.steps._keys import read_family
from engram_audio.steps._members import Member, MemberStore
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe

MODEL = "model"  # label of a generator's arrays in a file of its own
NULL_SEED = 0


class Files(StepFiles):
    arms: Fact[list[ArmName]]
    section: Frozen[PredictionSection]
    generator_section: Frozen[GeneratorSection]
    protocol_section: Frozen[GenerationProtocol]
    recipe_section: Frozen[TrainingRecipe]
    null_section: Frozen[RidgeMixtureSection]
    nulls: Path
    factorizer: Path | None
    direct: Path | None
    key_file: Path
    utterances: Path | None
    splits: Path
    shards: list[Path]
    generators: Output
    history: Output
    tensorboard: LogFolder
    device: Device


AnyTraining = Training | Replay


class Job:
    """The trainings of one job, each done once and kept until all are there."""

    def __init__(
        self, files: Files, run: TrainingRun, shared: Shared, device: torch.device
    ) -> None:
        """Name what all of them share."""
        self._files, self._run, self._shared, self._device = files, run, shared, device
        self._store = MemberStore(files.generators)
        own = files.protocol_section
        self.protocol = own if files.factorizer is None else own.of_arms_alone()
        self._frozen_row_sd = ROW_SD

    def chosen_points(self) -> dict[ArmName, GeneratorPoint]:
        """Return each arm's point; SM comes first, because frozen rows are as large as its own."""
        arms = sorted(self._files.arms, key=lambda arm: arm != "SM")
        points: dict[ArmName, GeneratorPoint] = {}
        for arm in arms:
            points[arm] = choose_point(arm, self.protocol, self._run.recipe.num_steps, self._score)
            if arm == "SM" and any(ARMS[other].are_rows_frozen for other in arms):
                self._frozen_row_sd = self._trained_rows(points[arm])
        return points

    def _row_sd(self, arm: ArmName) -> float:
        """Return the SD at which rows start; frozen ones are as large as SM's trained ones."""
        return self._frozen_row_sd if ARMS[arm].are_rows_frozen else ROW_SD

    def _trained_rows(self, point: GeneratorPoint) -> float:
        seed = self.protocol.seeds[0]
        member = self.member(Training("SM", seed, self._run.recipe.num_steps, point))
        return row_rms(unpack_generator(MODEL, member.arrays, member.header["generator"]))

    def _score(self, training: Training) -> float:
        """Return the best score of a training on the choice part, infinite where it diverged."""
        try:
            return float(self.member(training).header["best_score"])
        except FloatingPointError:
            return math.inf

    def published(self, one: AnyTraining) -> Member:
        """Return a training whose divergence ends the job.

        Raises:
            InputError: It diverged.
        """
        try:
            return self.member(one)
        except FloatingPointError as error:
            rate = one.training.point.learning_rate
            raise InputError(
                f"generation.points: {one.label} diverged: {error}; lower learning_rate from "
                f"{rate:g}"
            ) from error

    def add_variants(self, variants: Mapping[Variant, Sized]) -> None:
        """Train more sizes beside the arms."""
        self._shared = self._shared._replace(variants=variants)

    def replays(self, points: dict[ArmName, GeneratorPoint]) -> dict[Replay, Member]:
        """Return the trainings of the replay.

        Raises:
            InputError: One diverged.
        """
        num_steps = self._steps_per_pass()
        found = replays_of(self.protocol, points, num_steps)
        return {one: self.published(one) for one in found}

    def variants(self) -> dict[Training, Member]:
        """Return the trainings of more sizes, each size tuned as an arm is.

        Raises:
            InputError: One diverged.
        """
        protocol, steps = self.protocol, self._run.recipe.num_steps
        found: dict[Training, Member] = {}
        for one in self._shared.variants:
            point = choose_point(one.arm, protocol, steps, self._score, one)
            for seed in protocol.seeds:
                training = Training(one.arm, seed, steps, point, variant=one)
                found[training] = self.published(training)
        return found

    def _steps_per_pass(self) -> int:
        chunk_frames = self._files.generator_section.model.chunk_frames
        return steps_per_pass(self._shared.train, self._run.recipe, chunk_frames)

    def _dealing(self, one: AnyTraining) -> Dealing | None:
        if one.is_permuted is None:
            return None
        return Dealing(one.is_permuted, self._steps_per_pass(), one.training.seed)

    def member(self, one: AnyTraining) -> Member:
        """Return a training, done now or before."""
        return self._store.made(self._digest(one), one.label, lambda: self._made(one))

    def _made(self, one: AnyTraining) -> Member:
        training, sd = one.training, self._row_sd(one.training.arm)
        train = partial(
            train_generator, training, self._shared, one.recipe(self._run.recipe),
            self._dealing(one), sd, self._device,
        )  # fmt: skip
        model, state = self._run.train(one.label, train)
        self._run.forget(one.label)
        arrays, header = pack_generator(MODEL, model)
        return Member(arrays, {
            "generator": header, "budget": budget_of(model)._asdict(),
            "best_score": state.best_score, "best_step": state.best_step, "history": state.history,
        })  # fmt: skip

    def _digest(self, one: AnyTraining) -> str:
        """Return a digest of all that decides a training: no other arm, seed or point does."""
        training = one.training
        files, arm = self._files, ARMS[training.arm]
        settings, insertion = sized_of(training, self._shared)
        reads = insertion if arm.source else None
        parts = [
            files.frozen.code, self._run.inputs, one.label,
            self._row_sd(training.arm),
            *(None if part is None else part.model_dump(mode="json") for part in (
                settings, reads, one.recipe(self._run.recipe), files.section,
                files.null_section)),
        ]  # fmt: skip
        return text_digest(canonical_json(parts))

    @property
    def store(self) -> MemberStore:
        """The finished trainings."""
        return self._store


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    frames = open_frames(files.shards, files.splits)
    transcripts, own = read_transcripts(files.utterances), files.generator_section
    with blame(files.section_name(own)):
        require_transcripts(own.model.condition, frames.part_of, transcripts)
    name = files.generator_section.insertion.key
    key = read_family(files.key_file).key(name, 1, str(files.key_file))
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        nulls = fit_nulls(files.null_section, material, NULL_SEED)
        most = run.recipe.maximum_validation_frames
        with blame(files.section_name(files.generator_section)):
            base = nulls[LINEAR_MIXTURE].base
            section = _section(files, material, base, key)
            shared = prepare(section, material, base, key, most, transcripts)
            job = Job(files, run, shared, device)
            protocol, steps = job.protocol, run.recipe.num_steps
            job.add_variants(variants_of(shared.family, protocol))
            points = job.chosen_points()
            trainings = trainings_of(files.arms, protocol, steps, points)
            members = {one: job.published(one) for one in trainings}
            replays = job.replays(points)
            variants = job.variants()
        everything: dict[AnyTraining, Member] = {**members, **replays, **variants}
        packed, kept = job.store.packed()
        arrays, entries = pack_ridge_mixtures(by_lag(nulls))
        header = {
            **files.manifest(), **kept, "ridge_mixtures": entries,
            "chosen_on": material.choice_part,
            "members": [_entry(files, one, member) for one, member in members.items()],
            "replays": [
                {**_entry(files, one.training, member), "label": one.label,
                 "num_passes": one.num_passes, "is_permuted": one.is_permuted}
                for one, member in replays.items()
            ],
            "variants": [
                {**_entry(files, one, member), **one.variant._asdict()}
                for one, member in variants.items()
                if one.variant is not None
            ],
        }  # fmt: skip
        write_jsonl(files.history, [
            {"training": one.label, **record}
            for one, member in everything.items()
            for record in member.header["history"]
        ])  # fmt: skip
        write_bundle(files.generators, {**arrays, **packed}, header)
        job.store.clear()


def _section(
    files: Files, material: Material, base: BaseArrays, key: FittedKey
) -> GeneratorSection:
    """Return the generator; over z_dyn it is sized to the direct one's work."""
    if files.factorizer is None or files.direct is None:
        return files.generator_section
    factorizer, _ = read_factorizer(files.factorizer)
    direct = next(one for one in read_generators(files.direct).members if one["arm"] == MEMORY)
    return of_equal_work(
        files.generator_section, factorizer, direct["budget"]["flops_generated"], key,
        dimensions_of(material), base,
    )  # fmt: skip


def _entry(files: Files, training: Training, member: Member) -> dict[str, Any]:
    """Return what the file says of a training."""
    known = {name: value for name, value in member.header.items() if name != "history"}
    return {
        "label": training.label, "arm": training.arm, "seed": training.seed,
        "num_steps": training.num_steps, "is_repeat": training.is_repeat,
        "num_points": len(files.protocol_section.points),
        **training.point.model_dump(mode="json"), **known,
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
