"""How many directions a covariance really has."""

import numpy as np


def effective_rank(covariance: np.ndarray) -> float:
    """Return exp(entropy of the normalised eigenvalues) (Roy and Vetterli 2007); 0 if all zero."""
    values = np.maximum(np.linalg.eigvalsh(covariance), 0.0)
    if values.sum() <= 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(share * np.log(share))))
