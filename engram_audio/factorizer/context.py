"""How much of the past a factoriser's bound sees, in words that stand beside its score."""

from engram_audio.factorizer.config import FactorizerSection, NetworkSettings

MEMORY_STEPS = 4  # steps of z_dyn that learned and cross-attention upsamplers look at
WHOLE_PAST = "whole past"


def bound_context(settings: FactorizerSection) -> str:
    """Return what the bound on -log p(x_t given x_<t) depends on: so many frames, or all of them.

    A charged z_dyn is filtered: each step goes on from the one before it, back to the start.
    """
    state, encoder = settings.state, _reach(settings.encoder)
    dynamics = _reach(settings.dynamics.network)
    if state.rate == "charged" or encoder is None or (state.rate == "free" and dynamics is None):
        return WHOLE_PAST
    seen = max(encoder, state.linear_context_frames)
    has_memory = state.stride_frames > 1 and state.upsampler != "piecewise_constant"
    last = (MEMORY_STEPS if has_memory else 1) * state.stride_frames - 1  # to the oldest step read
    if state.rate == "strictly_past" or dynamics is None:
        return frames_in_words(last + seen)
    return frames_in_words(max(last, dynamics * state.stride_frames) + seen - 1)


def frames_in_words(num_frames: int) -> str:
    """Return a number of frames in words."""
    return f"{num_frames} frame{'' if num_frames == 1 else 's'}"


def _reach(network: NetworkSettings) -> int | None:
    """Return the inputs that an output depends on; None where they have no limit."""
    if network.kind == "gru":
        return None
    return network.num_layers * (network.context_frames - 1) + 1
