"""The plan of a configuration: which artifacts exist, without touching a file.

Rules ask it for names. It composes the plans of the stages, holds no science and imports nothing
heavy.
"""

import functools
from collections import Counter
from typing import Any

from engram_audio.calibration.config import OVERLAPPING_WORLDS, WORLD_PREFIX
from engram_audio.codecs.plan import CodecPlan
from engram_audio.comparison.plan import ComparisonPlan
from engram_audio.config import WorkflowConfig, key_lags, used_codecs, used_corpora
from engram_audio.corpus.plan import MATCHES_NOTHING, CorpusPlan, splits_file
from engram_audio.demands import demands_by_corpus, plain
from engram_audio.errors import InputError
from engram_audio.factorizer.plan import FactorizerPlan
from engram_audio.frozen_sections import configured_sections, derived_sections, kind_of
from engram_audio.generation.plan import GenerationPlan
from engram_audio.keys.plan import KeysPlan, LawPlan
from engram_audio.latents.config import RepresentationSection
from engram_audio.latents.plan import LatentsPlan
from engram_audio.memory.plan import MemoryPlan
from engram_audio.plugins import code_of, code_of_keys
from engram_audio.prediction.plan import PredictionPlan
from engram_audio.report.plan import ReportPlan
from engram_audio.rollout.plan import RolloutPlan
from engram_audio.structure.config import calibration_families
from engram_audio.structure.plan import StructurePlan
from engram_audio.trust.plan import CalibrationPlan

# Snakemake plans about 10,000 inputs a second, also of empty rules (`bench/dag.py`).
MAXIMUM_INPUTS = 300_000


class Plan:
    """Names and dependencies of everything that a configuration asks for, stage by stage.

    Attributes:
        config: The validated configuration.
        sections: Every section that it holds, as plain values by dotted key.
        document: These, and the sections that follow from them.
        demands: What is asked of the utterances of each corpus.
    """

    def __init__(self, config: WorkflowConfig) -> None:
        """Compose the plans of the stages.

        Raises:
            InputError: The plan would take minutes.
        """
        self.config = config
        self.sections: dict[str, Any] = configured_sections(config)
        self.document: dict[str, Any] = self.sections | derived_sections(config)
        worlds = [f"{WORLD_PREFIX}{name}" for name in config.calibration.worlds.names]
        keys = config.calibration.worlds.judged_keys()
        families = calibration_families(config.structure, config.keys, keys)
        self.corpus = CorpusPlan(config.corpora)
        self.codecs = CodecPlan(config.codecs.library)
        self.latents = LatentsPlan(
            config.representations, self.corpus, self.codecs, config.splits.seeds, worlds
        )
        self.demands = demands_by_corpus(config, self.latents.subjects())
        self.document |= plain(self.demands)
        # Once, not for hundreds of jobs: it looks at all installed packages.
        self._code_of_family = functools.cache(self._found_code_of_family)
        self.keys = KeysPlan(config.keys, key_lags(config))
        self.structure = StructurePlan(
            config.structure, self.latents, self.keys.learned_families(),
            config.learned_keys.representations,
        )  # fmt: skip
        lags = self.document["calibration.structure"]["lags_frames"]
        laws = [f"{WORLD_PREFIX}{name}" for name in config.calibration.worlds.with_laws()]
        self.calibration = CalibrationPlan(families, lags, self.latents, self.structure, laws)
        deciding = (
            config.decision.representation,
            *config.memory.representations,
            *config.rollout.representations,
        )
        self.laws = LawPlan(config.learned_keys, self.keys, self.latents)
        self.prediction = PredictionPlan(config.prediction, self.latents, deciding, config.recipes)
        self.factorizer = FactorizerPlan(config.factorizer, self.latents, self.prediction)
        self.comparison = ComparisonPlan(
            config.comparison, self.codecs, self.latents, self.prediction
        )
        self.memory = MemoryPlan(
            config.memory, self.latents, self.prediction, self.keys, config.recipes
        )
        self.rollout = RolloutPlan(config.rollout, self.latents, self.memory)
        self.generation = GenerationPlan(config.generation, self.latents, self.keys)
        self.report = ReportPlan(
            config.report,
            self.latents,
            self.factorizer,
            self.rollout,
            self.generation,
            self.calibration,
        )
        self._require_plannable()

    def checked(self, corpus: str) -> list[str]:
        """What says that a corpus can answer the study; nothing where nothing is asked of it."""
        return [f"<results>/splits/{corpus}/checked.json"] if corpus in self.demands else []

    def checked_of_representation(self, wildcards: Any) -> list[str]:
        """The same of a representation's corpus."""
        return self.checked(self.latents.corpus_of(wildcards.representation))

    def checked_of_codec(self, wildcards: Any) -> list[str]:
        """The same of the corpus that fits a codec."""
        return self.checked(self.codecs.fitted_on(wildcards.codec)[0])

    def checked_splits(self, wildcards: Any) -> list[str]:
        """Every split that something is asked on."""
        demands = self.demands[wildcards.corpus].demands
        seeds = sorted({seed for demand in demands for seed in demand.split_seeds})
        return [splits_file(wildcards.corpus, seed) for seed in seeds]

    def listed_arrays(self, wildcards: Any) -> list[str]:
        """The list of a user's arrays, which says how many dimensions they have."""
        name = wildcards.corpus
        return [f"<results>/corpus/{name}/shards.parquet"] if self.latents.is_arrays(name) else []

    def code_of(self, name: str) -> tuple[tuple[str, ...], str]:
        """The modules that a step loads for a section, and the suffix of a plugin's code."""
        return code_of(kind_of(self.config, name))

    def key_code(self, wildcards: Any) -> tuple[tuple[str, ...], str]:
        """What stands for the code of other packages that fits a family; an oracle has none."""
        return (), self._code_of_family(wildcards.family)

    def generator_code(self, wildcards: Any) -> tuple[tuple[str, ...], str]:
        """The modules that a step loads by name for a generator, and the suffix of a plugin's."""
        row = self.config.generation.library[wildcards.generator]
        (modules, suffix), (more, other) = code_of(row.insertion), code_of(row.model.head)
        return (*modules, *more), suffix + other

    def _found_code_of_family(self, name: str) -> str:
        family = self.config.keys.library.get(name)
        return "" if family is None else code_of_keys(family)

    def overlaps(self) -> dict[str, dict[str, Any]]:
        """How far frames of each representation overlap, and which control is analysed beside.

        Arrays are causal by declaration alone, and so is what is made of them.
        """
        controls, bases = self.config.comparison.controls, self.latents.bases()
        found = {}
        for name in bases:
            control = getattr(controls.get(name), "permuted", None)
            frames = _overlap_frames(self.latents.row(name))
            found[name] = {
                "frames": frames,
                "control": control if control in bases else "",
                "is_declared": self.latents.is_arrays(self.latents.chain_of(name)[0]),
            }
        return found

    def section_names(self) -> list[str]:
        """Names of the sections that something reads, as fine as steps read them."""
        used = {f"corpora.{name}" for name in used_corpora(self.config)}
        used |= {f"codecs.library.{name}" for name in used_codecs(self.config)}
        libraries = ("corpora.", "codecs.library.")
        return [name for name in self.sections if name in used or not name.startswith(libraries)]

    def idle_rules(self) -> set[str]:
        """Rules that nothing in this study needs, though what they serve may be defined."""
        codecs = CodecPlan({n: self.codecs.settings(n) for n in used_codecs(self.config)})
        corpora = CorpusPlan({n: self.config.corpora[n] for n in used_corpora(self.config)})
        rules = {
            "download_codec": codecs.downloaded(),
            "fit_codec": codecs.fitted(),
            "train_codec": codecs.trained(),
            "locate_corpus": corpora.of_kinds("librispeech", "directory"),
            "synthesize_demo_speech": corpora.of_kinds("demo_speech"),
            "index_corpus": corpora.of_kinds("librispeech", "directory", "demo_speech"),
            "assign_shards": corpora.of_kinds("librispeech", "directory", "demo_speech"),
        }
        idle = {name for name, served in rules.items() if served == MATCHES_NOTHING}
        return idle if self.report.verified() else idle | {"verify_study"}

    def count_readers(self) -> Counter[str]:
        """Return how many jobs read all shards of each representation, at least.

        Keys and the linear baseline read them once for each split seed. What is trained reads them
        to train and to evaluate. The numbers are multiplied, not listed: lists may be long.
        """
        config, readers = self.config, Counter[str]()
        for name in self.latents.analysed():
            families = self.structure.families_of(name)
            fitted = sum(family in self.keys.families for family in families)
            splits = len(self.latents.split_seeds(name))
            readers[name] += splits * (len(families) + fitted + 1)
        for run in self.laws.runs():  # a predictor, and the scores
            readers[run.representation] += 2
        for name in {run.representation for run in self.laws.runs()}:
            unscored = set(self.keys.learned_families()) - set(self.structure.families)
            readers[name] += len(unscored)
        for name in self.prediction.predicted():
            readers[name] += 2 * self.prediction.num_runs_of(name)
        for stage in (config.factorizer, config.rollout):
            for name in stage.representations:
                readers[name] += 2 * len(stage.library) * len(stage.seeds)
        for name in config.memory.representations:
            readers[name] += 2 * self.memory.num_runs_of_one()
        for name, _ in self.generation.runs():
            readers[name] += 2
        for name, _ in self.generation.path_runs():  # trained on z_dyn, scored on the frames
            readers[name] += 1
            readers[self.latents.source_of(name)] += 1
        return readers

    def _require_plannable(self) -> None:
        """Refuse a study whose plan alone takes minutes.

        Raises:
            InputError: Says how many inputs there are, and which representation has most of them.
        """
        readers = self.count_readers()
        inputs = Counter({n: k * self.latents.num_shards(n) for n, k in readers.items()})
        total = inputs.total()
        if total > MAXIMUM_INPUTS:
            name = max(inputs, key=lambda name: inputs[name])
            raise InputError(
                f"num_shards: the study's jobs have {total} inputs, at most {MAXIMUM_INPUTS} are "
                f"planned within half a minute; {name} has {self.latents.num_shards(name)} shards, "
                "take fewer shards or analyse less"
            )


def _overlap_frames(row: RepresentationSection) -> int | None:
    """Frames that share samples with a frame, itself included; None where it is unknown."""
    if row.kind == "world":
        return OVERLAPPING_WORLDS.get(row.world, 1)
    return row.overlap_frames if row.kind == "arrays" else None
