"""Exact laws of planted tables by the code at a frame alone, for probes of generators.

Shapes: N rows of a block, S symbols, D dimensions, P rows asked about.
"""

import numpy as np

from engram_audio.calibration.worlds_table import SymbolTable
from engram_audio.generation.probes.flip import LawOfCode
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.log_sums import log_sum_exp
from engram_audio.numerics.units import LOG_2PI


def table_block(
    world: SymbolTable, num_utterances: int, length: int
) -> tuple[LatentBlock, np.ndarray]:
    """Return utterances of a first-order table with the symbol of each frame, [N]."""
    assert world.num_residues == 1
    rng = np.random.default_rng(3)
    symbols = np.empty((num_utterances, length), np.int64)
    symbols[:, 0] = rng.integers(0, world.num_symbols, num_utterances)
    for place in range(1, length):
        jumps = rng.random(num_utterances) < world.jump_probability
        drawn = rng.integers(0, world.num_symbols, num_utterances)
        symbols[:, place] = np.where(jumps, drawn, world.chain.successor[symbols[:, place - 1]])
    flat = symbols.flatten()
    frames = world.centres[flat] + world.noise_sd * rng.normal(size=(len(flat), world.num_dims))
    names = np.array([f"u{number}" for number in range(num_utterances)])
    block = LatentBlock(
        frames=frames.astype(np.float32), energy=np.ones(len(flat), np.float32),
        offsets=np.arange(num_utterances + 1) * length,
        utterance_ids=names, speaker_ids=names,
    )  # fmt: skip
    return block, flat


def symbols_of(world: SymbolTable, frames: np.ndarray) -> np.ndarray:
    """Return the symbol of each frame, [N]: its nearest centre."""
    squares = (world.centres**2).sum(1) - 2 * frames.astype(np.float64) @ world.centres.T
    return squares.argmin(1)


def exact_law(
    world: SymbolTable, block: LatentBlock, symbol_of_code: np.ndarray | None = None
) -> LawOfCode:
    """Return log p(x_{t+1} | code) of a first-order table.

    Args:
        world: The table.
        block: Its frames.
        symbol_of_code: The symbol that each code stands for; None where codes are symbols.
    """
    size, jump = world.num_symbols, world.jump_probability
    log_rest, log_own = np.log(jump / size), np.log(1 - jump + jump / size)

    def law(rows: np.ndarray, read: np.ndarray) -> np.ndarray:
        symbols = read if symbol_of_code is None else symbol_of_code[read]
        frames = block.frames[rows + 1].astype(np.float64)
        squares = ((frames[:, None] - world.centres) ** 2).sum(-1)
        joint = -0.5 * squares / world.noise_sd**2 + log_rest
        each, following = np.arange(len(rows)), world.chain.successor[symbols]
        joint[each, following] += log_own - log_rest
        scale = world.num_dims * (np.log(world.noise_sd) + 0.5 * LOG_2PI)
        return log_sum_exp(joint, axis=1) - scale

    return law


def two_gaussians_law(
    world: SymbolTable, block: LatentBlock, symbol_of_code: np.ndarray
) -> LawOfCode:
    """Return log p(x_{t+1} | code) of a head that has one broad Gaussian for all jumps.

    Where the next symbol is looked up a flip moves it by ln((1 - jump) / jump) and the difference
    of two Gaussians' mean log densities: 18.2 nats, of which a share of 1 - jump is 17.3.
    """
    jump, broad = world.jump_probability, (1 + world.noise_sd**2) ** 0.5

    def law(rows: np.ndarray, read: np.ndarray) -> np.ndarray:
        frames = block.frames[rows + 1].astype(np.float64)
        centre = world.centres[world.chain.successor[symbol_of_code[read]]]
        parts = [
            np.log(weight) - 0.5 * ((frames - mean) ** 2).sum(1) / sd**2
            - world.num_dims * (np.log(sd) + 0.5 * LOG_2PI)
            for weight, mean, sd in ((1 - jump, centre, world.noise_sd), (jump, 0.0, broad))
        ]  # fmt: skip
        return log_sum_exp(np.stack(parts, 1), axis=1)

    return law
