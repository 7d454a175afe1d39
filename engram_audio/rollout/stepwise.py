"""The kind `one_step`: the base as it is. What other stepwise methods start from."""

from torch import nn

from engram_audio.rollout.frame import Frame
from engram_audio.rollout.method_config import AnyMethod
from engram_audio.rollout.paths import PathData


def build(
    _settings: AnyMethod, _frame: Frame, base: nn.Module | None, _data: PathData | None
) -> nn.Module:
    """Return the base without dropout, see `fit.build_model`.

    Along a path dropout would be noise that a free run does not have.
    """
    assert base is not None
    for module in base.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return base
