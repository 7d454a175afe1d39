"""Worlds of a large table: the next symbol is looked up, with a jump now and then.

Shapes: D dimensions, S symbols, n states, N frames, M targets.
"""

import dataclasses
import functools

import numpy as np

from engram_audio.calibration.chains import Chain, chain_autocovariance, forward_filter
from engram_audio.calibration.layout import Speaker, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import (
    MixturePredictive,
    Predictive,
    isotropic_log_densities,
)
from engram_audio.calibration.radial import diagonal_entropy
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import SpeakerFrames, World


@dataclasses.dataclass(frozen=True, kw_only=True)
class SymbolTable(World):
    """x_t = c_{s_t} + noise_sd n; the next symbol is a function of the past w.p. 1 - jump.

    `num_residues` 1: next = pi[s_t] with a random permutation pi.
    `num_residues` r > 1: next = pi[s_t, s_{t-1} mod r]. Symbols of residue class a and suffix j go
    to a random r-th of the symbols, number (a + j) mod r, one to one, so that the uniform law over
    (s_t, s_{t-1} mod r) is exactly stationary, and a one-frame key misses most of ln r nats.
    """

    num_dims: int = 8
    num_symbols: int = 1024
    noise_sd: float = 0.15
    jump_probability: float = 0.05
    num_residues: int = 1

    @functools.cached_property
    def centres(self) -> np.ndarray:
        """Entries of the table, shape [S, D]."""
        return self.generator("centres").standard_normal((self.num_symbols, self.num_dims))

    @functools.cached_property
    def chain(self) -> Chain:
        """Chain over the states s_t * r + (s_{t-1} mod r)."""
        residues, generator = self.num_residues, self.generator("successors")
        symbols = np.arange(self.num_symbols)
        landing = generator.permutation(self.num_symbols).reshape(residues, -1)
        successor = np.empty((self.num_symbols, residues), dtype=np.int64)
        for residue in range(residues):
            rows = symbols[symbols % residues == residue]
            for suffix in range(residues):
                targets = generator.permutation(landing[(residue + suffix) % residues])
                successor[rows, suffix] = targets * residues + residue
        state = np.arange(self.num_symbols * residues)
        return Chain(
            successor=successor.reshape(-1),
            jump=self.jump_probability,
            departure=state // residues % residues,
            arrival=state % residues,
        )

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        shape = (len(speaker.lengths), int(speaker.lengths.max()))
        states = ragged(self.chain.sample(shape, generator), speaker.lengths)
        symbol = states // self.num_residues
        noise = generator.standard_normal((len(symbol), self.num_dims))
        return SpeakerFrames(self.centres[symbol] + self.noise_sd * noise, {"symbol": symbol})

    def position_variance(self) -> np.ndarray:
        """Return the variance of each dimension of x, shape [D]; all symbols are equally likely."""
        return self.centres.var(axis=0) + self.noise_sd**2

    def autocovariance(self, steps: int) -> np.ndarray:
        """See `World`."""
        centres = np.repeat(self.centres, self.num_residues, axis=0)
        noise = self.noise_sd**2 * np.eye(self.num_dims) if steps == 0 else 0
        return chain_autocovariance(self.chain, centres, steps) + noise

    def hidden_means(self) -> tuple[Chain, np.ndarray] | None:
        """See `World`; with residues the symbol alone is no chain."""
        return (self.chain, self.centres) if self.num_residues == 1 else None

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        following = self.centres[self.chain.successor // self.num_residues]
        before = np.repeat(self.centres, self.num_residues, axis=0)
        looked_up = ((following - before) ** 2).mean(axis=0)
        jumped = 2 * self.centres.var(axis=0)
        signal = (1 - self.jump_probability) * looked_up + self.jump_probability * jumped
        return signal + 2 * self.noise_sd**2

    def oracle(self) -> Oracle:
        """See `World`."""
        return TableOracle(self)

    def symbol_information(self, num_successors: int = 1) -> float:
        """Return I(past; next symbol), nats.

        Args:
            num_successors: 1 with the whole past, `num_residues` for a one-frame key.
        """
        jump = self.jump_probability
        each = (1 - jump) / num_successors + jump / self.num_symbols
        rest = jump / self.num_symbols
        others = self.num_symbols - num_successors
        entropy = -num_successors * each * np.log(each) - others * rest * np.log(rest)
        return float(np.log(self.num_symbols) - entropy)

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """Also the information about the next *symbol*: what x_t can carry of it at most."""
        if 1 not in lags_frames:
            return []
        marginal = diagonal_entropy(self.position_variance())
        return [
            Truth("nll_diagonal_marginal_position_nats", 1, marginal),
            Truth("symbol_information_nats", 1, self.symbol_information()),
            Truth(
                "symbol_information_one_frame_nats", 1, self.symbol_information(self.num_residues)
            ),
        ]


class TableOracle(Oracle):
    """Forward filter over the table's states.

    Predicts x_t at every lag and delta_t at lag 1; at longer lags delta_t is a mixture over all
    pairs of symbols, which is not attempted.
    """

    def __init__(self, world: SymbolTable) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        world, chain = self._world, self._world.chain
        if task.space == "delta" and task.lag_frames != 1:
            raise NotImplementedError("delta of a table has an exact law at lag 1 only")
        sd = np.full(world.num_symbols, world.noise_sd)
        if task.lag_frames is None:
            law = np.tile(chain.stationary(), (len(task.targets), 1))
        else:
            scores = isotropic_log_densities(task.frames, world.centres, sd)
            scores = np.repeat(scores, world.num_residues, axis=1)
            laws = forward_filter(chain, scores, task.lengths)[task.newest()]
            law = chain.advance(laws, task.lag_frames)
        weights = law.reshape(len(law), world.num_symbols, world.num_residues).sum(axis=2)
        shift = -task.frames[task.targets - 1] if task.space == "delta" else None
        return MixturePredictive(weights, world.centres, sd, shift)
