"""A known answer.

Quantities, all about delta unless the name says `position`; lag k is in frames:

- `information_nats`: I(context; target), nats per frame;
- `information_position_nats`: the same about x_t;
- `dnll_diagonal_nats`: NLL of the exact predictor minus that of the best diagonal Gaussian without
  context (the first experiment's score), nats per frame, negative is better;
- `dnll_diagonal_head_nats`: the same for the best *diagonal* Gaussian given the context;
- `nll_nats`, `nll_position_nats`: NLL of the exact predictor;
- `nll_diagonal_marginal_nats`, `nll_diagonal_marginal_position_nats`: NLL of the best diagonal
  Gaussian without context;
- `variance_ratio`: mean over dimensions of residual variance over variance, exact mean predictor;
- `variance_ratio_position`: the same about x_t;
- `cosine`: mean cosine between the exact conditional mean and delta (0 where the mean is 0);
- `log_magnitude_r2`: share of Var(log ||delta||) that E[log ||delta|| | context] explains;
- `key_ratio`: variance ratio of the world's own hidden key, seen at t - k;
- `key_ratio@slice`: the same inside a slice, refitted there;
- `key_ratio_transfer`: the same on a new speaker, with values averaged over train speakers;
- `linear_r2`: R^2 of the best linear predictor of delta on W frames of context, a mean over
  dimensions;
- `added_hidden_key`: what the world's own hidden key, seen at t - k, adds to that R^2;
- `added_ceiling`: what the exact conditional mean adds to it: no key of any size can add more;
- `symbol_information_nats`, `symbol_information_one_frame_nats`: what the whole past, or the last
  symbol alone, tells about the next symbol.
"""

from typing import NamedTuple


class Truth(NamedTuple):
    """One number with its own standard error (0 for closed forms)."""

    quantity: str
    lag_frames: int
    value: float
    standard_error: float = 0.0
