"""The Engram form: hashed n-gram rows, a gate that asks the newest frame, a causal convolution.

    e = rows of all hash heads          k = W_K e, v = W_V e
    gate = sigmoid(RMSNorm(h) . RMSNorm(k) / sqrt(H))       (or the signed root of that logit)
    y = SiLU(conv(RMSNorm(gate v))) + gate v                conv causal, depthwise, zero at first

Source: arXiv 2601.07372 and its released code (domain.md 40-43). The code takes the signed square
root of the logit, the paper does not; both are here. There h is the hidden state of a deep network,
which has read the whole context. Here h is a linear embedding of the position's own frame: the gate
knows no more of the past than that frame.

Shapes: B sequences, T positions, H hidden width, E embedding width, W window, D dimensions.
"""

import math

import torch
from torch import Tensor, nn

from engram_audio.densities.trunks import ParameterSource, Trunk
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.memory.config import EngramMemory
from engram_audio.memory.hashing import NgramHash
from engram_audio.memory.ngrams import foreign_contexts
from engram_audio.training.tables import SparseTable

ROW_SD = 0.1
LOGIT_FLOOR = 1e-6


class EngramReader(nn.Module):
    """Reads a row into a hidden state: gate, value, and the convolution where there is one.

    Attributes:
        reach: Positions that the convolution looks back.
        constant_gate: A value that a control puts in place of the gate.
    """

    def __init__(
        self, width: int, embedded: int, gate: str, kernel_frames: int | None, dilation_frames: int
    ) -> None:
        """Build the projections; `kernel_frames` None leaves the convolution out."""
        super().__init__()
        self.build(width, embedded, gate, kernel_frames, dilation_frames)

    def build(
        self, width: int, embedded: int, gate: str, kernel_frames: int | None, dilation_frames: int
    ) -> None:
        """Build projections, norms and a convolution that starts at zero."""
        self.key = nn.Linear(embedded, width, bias=False)
        self.value = nn.Linear(embedded, width, bias=False)
        self.norm_hidden, self.norm_key, self.norm_value = (nn.RMSNorm(width) for _ in range(3))
        self.reach, self.convolution = 0, None
        if kernel_frames is not None:
            self.reach = (kernel_frames - 1) * dilation_frames
            self.convolution = nn.Conv1d(
                width, width, kernel_frames, dilation=dilation_frames, groups=width
            )
            nn.init.zeros_(self.convolution.weight)
            nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]
        self.gate_kind = gate
        self.constant_gate: float | None = None

    def gate(self, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Return the gate, shape [B, T, 1]; a constant where a control has set one."""
        if self.constant_gate is not None:
            return torch.full_like(hidden[..., :1], self.constant_gate)
        key = self.key(embedded)
        product = self.norm_hidden(hidden.float()) * self.norm_key(key.float())
        logit = product.sum(-1, keepdim=True) / math.sqrt(hidden.shape[-1])
        if self.gate_kind == "signed_sqrt":
            logit = logit.sign() * logit.abs().clamp_min(LOGIT_FLOOR).sqrt()
        return torch.sigmoid(logit)

    def read(self, hidden: Tensor, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Return y [B, T, H] and the gate [B, T, 1] of hidden states and joined rows [B, T, E]."""
        gate = self.gate(hidden, embedded)
        return self.mixed(gate * self.value(embedded)), gate

    def mixed(self, gated: Tensor) -> Tensor:
        """Return gated values [B, T, H] with their convolution over the positions before."""
        if self.convolution is None:
            return gated
        padded = nn.functional.pad(self.norm_value(gated.float()).transpose(1, 2), (self.reach, 0))
        mixed = nn.functional.silu(self.convolution(padded).transpose(1, 2))
        return mixed + gated


class EngramModule(EngramReader):
    """Adds what the table says about the newest codes to a hidden state."""

    convolution: nn.Conv1d

    def __init__(self, settings: EngramMemory, width: int, num_codes: int, seed: int) -> None:
        """Build tables and projections."""
        nn.Module.__init__(self)
        self.hash = NgramHash(
            settings.ngram_orders, settings.num_hashes, settings.table_rows, num_codes, seed
        )
        self.table = SparseTable(
            self.hash.num_rows, settings.row_dims, settings.table_learning_rate_factor
        )
        nn.init.normal_(self.table.weight, std=ROW_SD)
        embedded = len(settings.ngram_orders) * settings.num_hashes * settings.row_dims
        # after the table, so that the weights drawn for a seed stay what they were
        self.build(width, embedded, settings.gate, settings.kernel_frames, settings.dilation_frames)

    def embed(self, rows: Tensor) -> Tensor:
        """Return the joined rows, shape [B, T, E], of row numbers [B, T, heads]."""
        return self.table(rows).flatten(-2)

    def forward(self, hidden: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return y [B, T, H] and the gate [B, T, 1] of hidden states and codes [B, T]."""
        return self.read(hidden, self.embed(self.hash(codes)))


class EngramTrunk(ParameterSource):
    """A trunk of the prediction stage with an Engram module beside it.

    The module runs at every position of the window. The gate of a position reads a linear embedding
    of that one frame, not the trunk's features. The y of the newest position is added to these.
    """

    def __init__(self, trunk: Trunk, key: KeyEncoder, module: EngramModule) -> None:
        """Join them; the key is not trained."""
        super().__init__()
        self.inner, self.key, self.engram = trunk, key, module
        width = trunk.output.in_features
        self.positions = nn.Linear(len(trunk.inputs.frame_mean), width)
        self.is_knocked_out = False
        self.is_shuffled = False

    @property
    def output(self) -> nn.Linear:
        """The last layer."""
        return self.inner.output

    def codes(self, context: Tensor) -> Tensor:
        """Return the code of each position, oldest first, shape [B, W]; pad where none is whole."""
        if self.is_shuffled:
            context = foreign_contexts(context)
        count = context.shape[1] - self.key.state_frames + 1
        newest_first = self.key.codes(context, count)
        missing = self.key.state_frames - 1
        return nn.functional.pad(newest_first.flip(1), (missing, 0), value=self.key.num_codes)

    def read(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return y and the gate of the newest position, shapes [B, H] and [B]."""
        hidden = self.positions(self.inner.inputs(context))
        added, gate = self.engram(hidden, self.codes(context))
        return added[:, -1], gate[:, -1, 0]

    def forward(self, context: Tensor) -> Tensor:
        """Return the head's parameters, shape [B, P], of contexts [B, W, D]."""
        features = self.inner.features(context)
        if not self.is_knocked_out:
            features = features + self.read(context)[0]
        return self.inner.output(features)

    def rows(self, context: Tensor) -> Tensor:
        """Return the table rows of the newest position, shape [B, heads]."""
        return self.engram.hash(self.codes(context))[:, -1]

    def flops(self) -> int:
        """See `ParameterSource.flops`; every tap of the convolution reads a key and a row."""
        module, taps = self.engram, self.engram.convolution.kernel_size[0]
        dense = module.key.weight.numel() + module.value.weight.numel()
        read = self.key.flops + 2 * (dense + self.positions.weight.numel())
        return self.inner.flops() + taps * read
