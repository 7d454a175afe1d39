"""Train the keys of a learned family: cells of predicted laws, and the methods beside them.

Shapes: M targets, Q features, G components, K codes.
"""

from collections.abc import Callable, Mapping
from functools import partial, singledispatchmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.keys.clustering import cluster_laws, nearest_laws
from engram_audio.keys.config import AnyQuantizer, LearnedKeys, key_name
from engram_audio.keys.fitted import EVERY_LAG, FittedFamily, FittedKey
from engram_audio.keys.law_config import LawPredictorSection
from engram_audio.keys.law_networks import (
    FiniteScalar,
    LawModel,
    LawPredictor,
    Perceptron,
    RoutedBits,
    SoftCells,
    VectorQuantized,
)
from engram_audio.keys.law_training import LawMaterial, LawTask, predicted_laws
from engram_audio.keys.law_weights import SMALLEST_WEIGHT
from engram_audio.keys.learned_kinds import (
    Bits,
    Distilled,
    FiniteScalars,
    Laws,
    ProductLaws,
    ResidualLaws,
    StraightThrough,
    TunedLaws,
    ratio_law,
)
from engram_audio.keys.quantizers import KeySize
from engram_audio.numerics.seeds import named_generator, named_seed
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, Task, TrainingState, train

Network = dict[str, np.ndarray]
# Runs one training under a label and returns its end; the step keeps checkpoints around it.
Trainer = Callable[[str, Callable[[TrainingState | None, Callbacks], TrainingState]], TrainingState]


class Training(NamedTuple):
    """How a family is trained.

    Attributes:
        settings: Of the predictor and the clustering.
        recipes: Training recipes by name.
        train: Runs one training.
        seed: Of everything random.
        minimum_cell_frames: Train frames that a cell needs on average.
        window_frames: W.
    """

    settings: LawPredictorSection
    recipes: Mapping[str, TrainingRecipe]
    train: Trainer
    seed: int
    minimum_cell_frames: int
    window_frames: int


def run_training(
    label: str, task: Task, recipe: TrainingRecipe, how: Training, device: torch.device
) -> TrainingState:
    """Train the model of a task under its label; it holds its best weights afterwards."""
    seed = named_seed(how.seed, "learned_keys", label)
    return how.train(
        label,
        lambda state, callbacks: train(task, recipe, seed, device, state, callbacks),
    )


def perceptron(
    material: LawMaterial, settings: LawPredictorSection, num_outputs: int, seed: int
) -> Perceptron:
    """Return an untrained network of the size that all methods have."""
    torch.manual_seed(seed)
    return Perceptron(
        len(material.scale), settings.width, settings.num_layers, settings.dropout, num_outputs
    )


def train_predictor(material: LawMaterial, how: Training) -> tuple[Network, TrainingState]:
    """Train q(g | context); return its arrays and the end of its training."""
    seed = named_seed(how.seed, "learned_keys", "predictor", "start")
    network = perceptron(material, how.settings, material.bank.num_components, seed)
    last = network.linear_layers()[-1]
    with torch.no_grad():  # starts as the law without context
        last.bias.copy_(torch.as_tensor(np.log(material.bank.weights)))
        last.weight.mul_(0.1)
    recipe = how.recipes[how.settings.recipe]
    task = LawTask(LawPredictor(network), material, recipe.maximum_validation_frames)
    state = run_training("predictor", task, recipe, how, material.device)
    return network.cpu().arrays(), state


class LearnedFamily(NamedTuple):
    """A trained family.

    Attributes:
        fitted: Its keys.
        history: Log records, each with the label of its training.
        agreement: Share of choice frames on which a distilled key has its teacher's code, by name.
    """

    fitted: FittedFamily
    history: list[dict[str, Any]]
    agreement: dict[str, float]


def fit_learned(
    name: str, family: LearnedKeys, material: LawMaterial, predictor: Network, how: Training
) -> LearnedFamily:
    """Train all keys of a family.

    Args:
        name: Name of the family.
        family: Its settings.
        material: Targets, bank and features.
        predictor: Arrays of q(g | context).
        how: How to train.
    """
    work = _Work(name, family, material, predictor, how)
    for quantizer, size in family.sizes(len(material.scale)):
        work.fit(quantizer, size)
    keys = tuple(work.keys.values())
    return LearnedFamily(FittedFamily(name, keys, work.missing), work.history, work.agreement)


class _Work:
    """The fit of one family."""

    def __init__(
        self, name: str, family: LearnedKeys, material: LawMaterial, predictor: Network,
        how: Training,
    ) -> None:  # fmt: skip
        self._name, self._family, self._material = name, family, material
        self._predictor, self._how = predictor, how
        self.keys: dict[str, FittedKey] = {}
        self.missing: dict[str, tuple[int, str]] = {}
        self.history: list[dict[str, Any]] = []
        self.agreement: dict[str, float] = {}
        items = material.targets.of_part(TRAIN)
        size = min(how.settings.cluster_frames, len(items))
        self._num_train = len(items)
        self._items = items[(np.arange(size) * len(items)) // max(size, 1)]
        self._laws = predicted_laws(material, predictor, self._items)
        self._centroids: dict[int, np.ndarray] = {}

    def fit(self, quantizer: AnyQuantizer, size: KeySize) -> None:
        """Fit one key, or note why it cannot be."""
        full, needed = key_name(self._name, "raw", size.name), self._needed(size)
        if needed > self._num_train:
            reason = (
                f"not_attempted: {size.num_fitted} cells need {needed} train frames, have "
                f"{self._num_train}"
            )
            self.missing[full] = size.num_codes, reason
            return
        cells = self._cells(quantizer, size)
        if cells is None:
            return
        self.keys[size.name] = FittedKey(
            name=full, lag_frames=EVERY_LAG, family=self._family, key_input="raw",
            quantizer=quantizer, num_codes=size.num_codes, num_fitted=size.num_fitted,
            window_frames=self._how.window_frames, pseudo_frames=0.0,
            train_mean=self._material.centre.astype(np.float32),
            features={"scale": self._material.scale}, cells=cells,
        )  # fmt: skip

    def _needed(self, size: KeySize) -> int:
        return max(self._how.minimum_cell_frames * size.num_fitted, size.num_codes)

    @singledispatchmethod
    def _cells(self, quantizer: AnyQuantizer, size: KeySize) -> Network | None:
        """Return the arrays of a quantiser; a kind registers how it is trained below."""
        raise TypeError(f"{size.name}: {type(quantizer).__name__} is no learned quantiser")

    @_cells.register
    def _plain(self, quantizer: Laws, size: KeySize) -> Network:
        return {**self._predictor, "log_centroids": _logs(self._clustered(size.num_codes))}

    def _clustered(self, num_cells: int) -> np.ndarray:
        """Return centroids of the predicted laws, [K, G]; the same for every method of this K."""
        if num_cells not in self._centroids:
            self._centroids[num_cells] = self._cluster(self._laws, num_cells, str(num_cells))
        return self._centroids[num_cells]

    def _cluster(self, laws: np.ndarray, num_cells: int, label: str) -> np.ndarray:
        settings = self._how.settings
        generator = named_generator(self._how.seed, "learned_keys", self._name, "cells", label)
        return cluster_laws(
            laws, num_cells, settings.cluster_restarts, settings.cluster_iterations, generator
        )

    @_cells.register
    def _product(self, quantizer: ProductLaws, size: KeySize) -> Network:
        """Cluster the laws, then what they are beside the means of their cells."""
        first, second = quantizer.num_codes
        centroids = self._clustered(first)
        codes, _ = nearest_laws(self._laws, centroids)
        ratio = ratio_law(self._laws, np.maximum(centroids, SMALLEST_WEIGHT)[codes])
        rest = self._cluster(ratio.astype(np.float32), second, f"product {first}x{second}")
        return self._two_levels(centroids, rest)

    @_cells.register
    def _residual(self, quantizer: ResidualLaws, size: KeySize) -> Network:
        """Cluster the laws, then those inside of each cell."""
        first, second = quantizer.num_codes
        centroids = self._clustered(first)
        codes, _ = nearest_laws(self._laws, centroids)
        rest = [
            self._inside(self._laws[codes == cell], second, f"{first}x{second}/{cell}")
            for cell in range(first)
        ]
        return self._two_levels(centroids, np.stack(rest))

    def _two_levels(self, centroids: np.ndarray, rest: np.ndarray) -> Network:
        return {**self._predictor, "log_first": _logs(centroids), "log_second": _logs(rest)}

    def _inside(self, laws: np.ndarray, num_cells: int, label: str) -> np.ndarray:
        """Return cells inside of a cell; one with fewer laws than that repeats its own laws."""
        if len(laws) >= num_cells:
            return self._cluster(laws, num_cells, f"residual {label}")
        laws = laws if len(laws) else self._laws.mean(0, keepdims=True)
        return laws[np.arange(num_cells) % len(laws)]

    def _train(self, size: KeySize, model: LawModel, recipe: str) -> LawModel:
        settings = self._how.recipes[recipe]
        task = LawTask(model, self._material, settings.maximum_validation_frames)
        state = run_training(size.name, task, settings, self._how, self._material.device)
        self.history += [{"key": size.name, **record} for record in state.history]
        return model.cpu()

    def _fresh(self, size: KeySize, num_outputs: int) -> Perceptron:
        seed = named_seed(self._how.seed, "learned_keys", self._name, size.name, "start")
        return perceptron(self._material, self._how.settings, num_outputs, seed)

    @_cells.register
    def _tuned(self, quantizer: TunedLaws, size: KeySize) -> Network:
        network = self._fresh(size, self._material.bank.num_components)
        load_arrays(network, self._predictor)
        recipe, speakers = self._how.recipes[quantizer.recipe], self._material.targets.speaker_ids
        model = SoftCells(
            network, torch.as_tensor(self._clustered(size.num_codes)),
            (quantizer.first_beta, quantizer.last_beta), recipe.num_steps, len(speakers),
            quantizer.speaker_weight,
        )  # fmt: skip
        self._train(size, model, quantizer.recipe)
        return {**network.arrays(), "log_centroids": model.centroids().detach().numpy().copy()}

    @_cells.register
    def _straight_through(self, quantizer: StraightThrough, size: KeySize) -> Network:
        network = self._fresh(size, quantizer.num_dims)
        outputs = self._material.bank.num_components
        model = VectorQuantized(network, size.num_codes, quantizer.num_dims, outputs)
        self._train(size, model, quantizer.recipe)
        book = functional.normalize(model.codebook.detach(), dim=1)
        return {**network.arrays(), "codebook": book.numpy().copy()}

    @_cells.register
    def _finite_scalars(self, quantizer: FiniteScalars, size: KeySize) -> Network:
        levels = np.array(quantizer.levels, np.int64)
        network = self._fresh(size, len(levels))
        self._train(
            size, FiniteScalar(network, quantizer.levels, self._material.bank.num_components),
            quantizer.recipe,
        )  # fmt: skip
        powers = np.concatenate([[1], np.cumprod(levels[:-1])])
        return {**network.arrays(), "levels": levels, "powers": powers}

    @_cells.register
    def _bits(self, quantizer: Bits, size: KeySize) -> Network:
        torch.manual_seed(named_seed(self._how.seed, "learned_keys", self._name, size.name))
        model = RoutedBits(
            len(self._material.scale), quantizer.num_routes, quantizer.num_bits,
            self._material.bank.num_components,
        )  # fmt: skip
        self._train(size, model, quantizer.recipe)
        return {"router": model.router.detach().numpy().copy()}

    @_cells.register
    def _distilled(self, quantizer: Distilled, size: KeySize) -> Network | None:
        teacher = self.keys.get(quantizer.teacher)
        full = key_name(self._name, "raw", size.name)
        if teacher is None:
            reason = f"not_attempted: its teacher {quantizer.teacher} was not made before it"
            self.missing[full] = size.num_codes, reason
            return None
        torch.manual_seed(named_seed(self._how.seed, "learned_keys", self._name, size.name))
        layer = Perceptron(len(self._material.scale), 0, 0, 0.0, size.num_codes)
        recipe = self._how.recipes[quantizer.recipe]
        task = _CodesTask(layer, self._material, teacher, recipe.maximum_validation_frames)
        state = run_training(size.name, task, recipe, self._how, self._material.device)
        self.history += [{"key": size.name, **record} for record in state.history]
        cells = layer.cpu().arrays()
        self.agreement[full] = self._agreement(quantizer, cells, teacher)
        return cells

    def _agreement(self, quantizer: Distilled, cells: Network, teacher: FittedKey) -> float:
        targets = self._material.targets
        features = self._material.features(targets.of_part(targets.choice_part))
        own = quantizer.codes(features, cells)
        return float((own == teacher.quantizer.codes(features, teacher.cells)).mean())


class _CodesTask:
    """Cross entropy of a linear layer on the codes of another key."""

    frames_per_item = 1

    def __init__(
        self, layer: Perceptron, material: LawMaterial, teacher: FittedKey, maximum: int
    ) -> None:
        self.model = layer.to(material.device)
        self._material = material
        targets = material.targets
        self._train = targets.of_part(TRAIN)
        choice = targets.of_part(targets.choice_part)
        size = min(len(choice), maximum)
        self._choice = choice[(np.arange(size) * len(choice)) // max(size, 1)]
        self._codes = partial(teacher.quantizer.codes, arrays=teacher.cells)
        self.details: dict[str, float] = {}

    @property
    def num_items(self) -> int:
        """Train targets."""
        return len(self._train)

    def _loss(self, items: np.ndarray) -> Tensor:
        features = self._material.features(items)
        codes = torch.as_tensor(self._codes(features), device=self._material.device)
        inputs = torch.as_tensor(features, device=self._material.device)
        return functional.cross_entropy(self.model(inputs), codes)

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean cross entropy of train targets."""
        return self._loss(self._train[items.numpy()])

    def validate(self) -> float:
        """Return the mean cross entropy of the choice part."""
        return float(self._loss(self._choice))


def load_arrays(network: Perceptron, arrays: Network) -> None:
    """Set the layers of a network to the numbers of another of the same size."""
    with torch.no_grad():
        for number, layer in enumerate(network.linear_layers()):
            layer.weight.copy_(torch.as_tensor(arrays[f"weight_{number}"]))
            layer.bias.copy_(torch.as_tensor(arrays[f"bias_{number}"]))


def _logs(laws: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(laws, SMALLEST_WEIGHT)).astype(np.float32)
