"""Student's t, by scipy's special functions.

`scipy.stats.t` calls the same functions and gives the same bits, but importing `scipy.stats` takes
half a second of every step that writes a table. Plans load this module and compute nothing, so
scipy is imported where it is called.
"""

import numpy as np


def quantile(probability: float, df: np.ndarray) -> np.ndarray:
    """Return the values that t of `df` degrees of freedom stays below with a probability, [...].

    Args:
        probability: Above 0; scipy's special function has the wrong sign of infinity at 0.
        df: Degrees of freedom, [...]; NaN where there are none.
    """
    from scipy import special

    return special.stdtrit(df, probability)


def below(value: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return P(T <= value), [...]."""
    from scipy import special

    return special.stdtr(df, value)


def above(value: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return P(T > value), [...]."""
    return below(-np.asarray(value), df)
