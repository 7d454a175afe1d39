"""Learned quantisers: from the features of a context to a code by a trained network.

Settings and codes stand here, training in `keys/learned_fit.py`. All see the same features and the
same budget, and all are scored alike: by the law of the bank that their codes have on train.

Shapes: m contexts, Q features, G components, K codes.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from engram_audio.keys.quantizers import NUM_CODES_LIMIT, Arrays, KeySize, Quantizer
from engram_audio.quantities import Amount, AmountOrZero, Count, Listed, Name, Text
from engram_audio.section import require_power_below

CELLS = 4096  # codes of a clustering at most: beyond, no corpus fills them
NumCells = Annotated[int, Field(ge=2, le=CELLS)]


class LearnedQuantizer(Quantizer):
    """What every learned kind has."""

    def fit(self, size: KeySize, features: np.ndarray, how: Any) -> dict[str, np.ndarray]:
        """Refuse: `keys/learned_fit.py` trains it, from targets too."""
        raise TypeError(f"{size.name}: is trained by train_learned_keys, not fitted on features")

    def codes(self, features: Any, arrays: Arrays) -> Any:
        """See `Quantizer.codes`."""
        return on_tensors(self.tensor_codes, features, arrays)

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """Return the codes of a tensor of features, int64, [m]."""
        raise NotImplementedError

    def num_scores(self, arrays: Arrays) -> int:
        """See `Quantizer.num_scores`."""
        return max(values.shape[0] for values in arrays.values() if values.ndim)


def on_tensors(
    function: Callable[[Any, Mapping[str, Any]], Any], features: Any, arrays: Arrays
) -> Any:
    """Run a function of tensors on tensors, or on numpy arrays there and back."""
    import torch  # settings alone need none

    if not isinstance(features, np.ndarray):
        return function(features, arrays)
    with torch.no_grad():
        tensors = {name: torch.from_numpy(_writable(one)) for name, one in arrays.items()}
        return function(torch.from_numpy(_writable(features)), tensors).numpy()


def _writable(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values if values.flags.writeable else values.copy())


class _Sized(LearnedQuantizer):
    codebook_sizes: Listed[NumCells] = Field(min_length=1, description="K, a key for each.")

    def _name(self, size: int) -> str:
        raise NotImplementedError

    def names(self) -> list[str]:
        """See `Quantizer.names`."""
        return [self._name(size) for size in self.codebook_sizes]

    def cut(self, names: Collection[str]) -> Self | None:
        """See `Quantizer.cut`."""
        kept = tuple(size for size in self.codebook_sizes if self._name(size) in names)
        return self.model_copy(update={"codebook_sizes": kept}) if kept else None

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        del num_features
        for size in self.codebook_sizes:
            yield KeySize(self._name(size), size, size, size)


def law_codes(features: Any, arrays: Mapping[str, Any]) -> Any:
    """Return the cell whose centroid is nearest in KL to the predicted law."""
    from engram_audio.keys.law_networks import run_network

    return run_network(features, arrays).softmax(1).matmul(arrays["log_centroids"].T).argmax(1)


class Laws(_Sized):
    """Cells of the predicted laws: KL clustering, step 2 of the learned key."""

    kind: Literal["laws"]

    def _name(self, size: int) -> str:
        return f"laws_{size}"

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """See `LearnedQuantizer.tensor_codes`."""
        return law_codes(features, arrays)


class TunedLaws(_Sized):
    """The same cells, network and centroids trained on by the exact expectation over the codes."""

    kind: Literal["tuned"]
    recipe: Name = Field(description="Training recipe, under recipes.")
    first_beta: Amount = Field(description="Sharpness of the soft codes at the start.")
    last_beta: Amount = Field(description="Sharpness at the end.")
    speaker_weight: AmountOrZero = Field(
        description="Weight of the reversed gradient of a classifier of speakers; 0: none."
    )

    @model_validator(mode="after")
    def _check_sharpening(self) -> Self:
        if self.last_beta < self.first_beta:
            raise ValueError(
                f"last_beta: {self.last_beta} is below first_beta {self.first_beta}, but codes "
                "become sharper while they are trained; swap them"
            )
        return self

    def _name(self, size: int) -> str:
        return f"tuned_{size}"

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """See `LearnedQuantizer.tensor_codes`."""
        return law_codes(features, arrays)


class StraightThrough(_Sized):
    """Vector quantisation with straight-through gradients and restarts of idle codes."""

    kind: Literal["vq"]
    recipe: Name = Field(description="Training recipe, under recipes.")
    num_dims: Count = Field(le=1024, description="Dimensions of the unit codes.")

    def _name(self, size: int) -> str:
        return f"vq_{size}"

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """See `LearnedQuantizer.tensor_codes`."""
        from engram_audio.keys.law_networks import run_network

        # the codes are unit vectors, so the length of the input decides nothing
        return run_network(features, arrays).matmul(arrays["codebook"].T).argmax(1)


class _OfOne(LearnedQuantizer):
    def names(self) -> list[str]:
        """See `Quantizer.names`."""
        return [next(self.sizes(0)).name]


class FiniteScalars(_OfOne):
    """Finite scalar quantisation: a few numbers, each rounded to one of its levels."""

    kind: Literal["fsq"]
    recipe: Name = Field(description="Training recipe, under recipes.")
    levels: tuple[Annotated[int, Field(ge=2, le=64)], ...] = Field(
        min_length=1, description="Levels of each number; K is their product."
    )

    @model_validator(mode="after")
    def _check_product(self) -> Self:
        if math.prod(self.levels) > CELLS:
            raise ValueError(f"levels: {math.prod(self.levels)} codes, at most {CELLS}")
        return self

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        del num_features
        count = math.prod(self.levels)
        yield KeySize("fsq_" + "x".join(map(str, self.levels)), count, count, count)

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """See `LearnedQuantizer.tensor_codes`."""
        from engram_audio.keys.law_networks import rounded, run_network

        half = (arrays["levels"] - 1).to(features) / 2
        digits = rounded(half * run_network(features, arrays).tanh(), half) + half
        return (digits.round().long() * arrays["powers"]).sum(1)


class _TwoLevels(_OfOne):
    num_codes: tuple[Count, Count] = Field(description="K1 and K2; K is their product.")

    @model_validator(mode="after")
    def _check_product(self) -> Self:
        if math.prod(self.num_codes) > CELLS or min(self.num_codes) < 2:
            raise ValueError(
                f"num_codes: found {list(self.num_codes)}; write two numbers from 2, their product "
                f"at most {CELLS}"
            )
        return self

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        del num_features
        first, second = self.num_codes
        name = f"{self._prefix()}_{first}x{second}"
        yield KeySize(name, first * second, first * second, first * second)

    def _prefix(self) -> str:
        raise NotImplementedError

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """See `LearnedQuantizer.tensor_codes`."""
        from engram_audio.keys.law_networks import run_network

        laws = run_network(features, arrays).softmax(1)
        first = laws.matmul(arrays["log_first"].T).argmax(1)
        rest = self._rest(laws, first, arrays)
        return first * self.num_codes[1] + rest

    def _rest(self, laws: Any, first: Any, arrays: Mapping[str, Any]) -> Any:
        raise NotImplementedError


class ProductLaws(_TwoLevels):
    """Two codes: the cell of the law, and the cell of what the law is beside that cell's mean.

    The second codebook is shared by all first cells.
    """

    kind: Literal["product_laws"]

    def _prefix(self) -> str:
        return "product_laws"

    def _rest(self, laws: Any, first: Any, arrays: Mapping[str, Any]) -> Any:
        ratios = ratio_law(laws, arrays["log_first"][first].exp())
        return ratios.matmul(arrays["log_second"].T).argmax(1)


def ratio_law(laws: Any, centroids: Any) -> Any:
    """Return the law that is proportional to laws over their centroids, [m, G]; any arrays."""
    ratio = laws / centroids
    return ratio / ratio.sum(1)[:, None]


class ResidualLaws(_TwoLevels):
    """Two codes: the cell of the law, and a cell of its own inside of it."""

    kind: Literal["residual_laws"]

    def _prefix(self) -> str:
        return "residual_laws"

    def _rest(self, laws: Any, first: Any, arrays: Mapping[str, Any]) -> Any:
        own = laws.matmul(arrays["log_second"].flatten(0, 1).T)
        own = own.unflatten(1, tuple(self.num_codes))
        cells = first[:, None, None].expand(-1, 1, own.shape[2])
        return own.gather(1, cells)[:, 0].argmax(1)


class Bits(_OfOne):
    """Routed bits: signs of linear maps that learn by counterfactual gradients."""

    kind: Literal["bits"]
    recipe: Name = Field(description="Training recipe, under recipes.")
    num_routes: Count = Field(le=30, description="Groups of bits, each with a table of its own.")
    num_bits: Count = Field(le=12, description="Bits of each.")

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        require_power_below(2, self.num_routes * self.num_bits, CELLS + 1, "bits: codes")
        return self

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`."""
        del num_features
        count = 2 ** (self.num_routes * self.num_bits)
        yield KeySize(f"bits_{self.num_routes}x{self.num_bits}", count, count, count)

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """See `LearnedQuantizer.tensor_codes`."""
        from engram_audio.keys.law_networks import symbols_of, unit_rms

        return symbols_of(unit_rms(features) @ arrays["router"].T)


class Distilled(_OfOne):
    """One linear layer that was trained on the codes of another learned key."""

    kind: Literal["distilled"]
    recipe: Name = Field(description="Training recipe, under recipes.")
    teacher: Text = Field(description="Quantiser of the same family, such as laws_64.")

    def sizes(self, num_features: int) -> Iterator[KeySize]:
        """See `Quantizer.sizes`: K is the teacher's, the last number of its name."""
        del num_features
        digits = self.teacher.rpartition("_")[2].split("x")
        if not all(digit.isdigit() for digit in digits):
            raise ValueError(f"teacher: {self.teacher} is no quantiser such as laws_64")
        count = self._num_codes([int(digit) for digit in digits])
        yield KeySize(f"distilled_{self.teacher}", count, count, count)

    def _num_codes(self, numbers: list[int]) -> int:
        is_bits = self.teacher.startswith("bits_")
        count = 2 ** math.prod(numbers) if is_bits else math.prod(numbers)
        if not 2 <= count <= min(CELLS, NUM_CODES_LIMIT):
            raise ValueError(f"teacher: {self.teacher} has {count} codes, from 2 to {CELLS} can be")
        return count

    def tensor_codes(self, features: Any, arrays: Mapping[str, Any]) -> Any:
        """See `LearnedQuantizer.tensor_codes`."""
        from engram_audio.keys.law_networks import run_network

        return run_network(features, arrays).argmax(1)
