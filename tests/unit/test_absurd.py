"""Absurd values are named, honest ones are not, and no unit decides which is which."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from engram_audio.latents.absurd import MAXIMUM_SAMPLED, Spread
from engram_audio.latents.array_row import ArrayRow, array_fault
from engram_audio.latents.arrays import index_arrays

NUM_UTTERANCES, NUM_FRAMES, NUM_DIMS = 24, 60, 6
Data = dict[str, np.ndarray]


class Rows:
    """Rows of arrays, counted each time that they are read."""

    def __init__(self, data: Data) -> None:
        self.data, self.num_passes = data, 0

    def __iter__(self) -> Iterator[ArrayRow]:
        self.num_passes += 1
        for name, values in self.data.items():
            yield ArrayRow(name, f"s{name}", "F", name, values, None, None)


def normal(seed: int = 0) -> Data:
    generator = np.random.default_rng(seed)
    shape = (NUM_UTTERANCES, NUM_FRAMES, NUM_DIMS)
    return {f"u{n:02d}": values for n, values in enumerate(generator.normal(size=shape))}


def excluded(data: Data) -> dict[str, str]:
    table = index_arrays(Rows(data), 12.5, 2, "mine").exclusions
    table = table.loc[~table["is_kept"]]  # a note leaves nothing out
    assert set(table["reason"]) <= {"absurd", "too_large"}
    return dict(zip(table["utterance_id"], table["detail"], strict=True))


def with_active(share: float, scale: float = 1.0) -> Data:
    """Dimension 2 is zero but for a share of the frames."""
    data, generator = normal(), np.random.default_rng(1)
    for values in data.values():
        is_active = generator.random(len(values)) < share
        values[:, 2] = np.where(is_active, scale * generator.normal(size=len(values)), 0.0)
    return data


def one_hot(num_codes: int) -> Data:
    generator = np.random.default_rng(2)
    return {f"u{n}": np.eye(num_codes)[generator.integers(num_codes, size=20)] for n in range(9)}


def power() -> Data:
    """Power of bands: silence is 80 dB below speech and lasts most of the time."""
    data, generator = normal(), np.random.default_rng(3)
    for name, values in data.items():
        is_speech = np.arange(NUM_FRAMES)[:, None] % 10 < 3
        level = np.where(is_speech, 1.0, 1e-8)
        data[name] = level * generator.chisquare(2, size=values.shape)
    return data


def who_speaks() -> Data:
    """One dimension says who it is: one for a single speaker, zero for all others."""
    data = normal()
    for name, values in data.items():
        values[:, 4] = float(name == "u05")
    return data


def units() -> Data:
    """Dimensions in units of their own: a frequency, a probability, a charge."""
    scale = np.array([1e4, 1e-4, 1e-19, 1.0, 1e6, 1.0])
    return {name: values * scale for name, values in normal().items()}


HONEST: dict[str, Callable[[], Data]] = {
    "normal": normal,
    "sparse, a third": lambda: with_active(0.33),
    "sparse, a twentieth": lambda: with_active(0.05),
    "sparse, a thousandth": lambda: with_active(0.001),
    "sparse and large": lambda: with_active(0.1, 300.0),
    "constant": lambda: with_active(0.0),
    "one-hot": lambda: one_hot(4),
    "one-hot of many": lambda: one_hot(100),
    "power": power,
    "who speaks": who_speaks,
    "units": units,
    "far from zero": lambda: {name: values + 1e5 for name, values in normal().items()},
    "Cauchy by utterance": lambda: {
        name: values * (1 + 30 * (n % 5 == 0)) for n, (name, values) in enumerate(normal().items())
    },
    "cubed": lambda: {name: values**3 for name, values in normal().items()},
    "exponential": lambda: {name: np.exp(2 * values) for name, values in normal().items()},
    "two utterances": lambda: {name: normal()[name] for name in ("u00", "u01")},
    "two frames": lambda: {name: values[:2] for name, values in normal().items()},
}  # fmt: skip
SCALES = (1.0, 1e-8, 1e8, 2.0**-20)


@pytest.mark.parametrize("case", HONEST)
@pytest.mark.parametrize("scale", SCALES)
def test_honest_data_stay_whole(case: str, scale: float):
    assert excluded({name: scale * values for name, values in HONEST[case]().items()}) == {}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("value", [65504.0, -65504.0, 1e4, 2e3, 1e12 / 1e8])
@pytest.mark.parametrize("case", ["normal", "far from zero"])
def test_one_absurd_frame_is_named_whatever_the_scale(case: str, value: float, scale: float):
    data = {name: scale * values for name, values in HONEST[case]().items()}
    data["u07"][11, 2] += scale * value
    found = excluded(data)
    assert list(found) == ["u07"]
    assert found["u07"].startswith("frame 11, dimension 2: ")


@pytest.mark.parametrize("case", [name for name in HONEST if name not in ("units", "power")])
@pytest.mark.parametrize("scale", SCALES)
def test_an_absurd_frame_is_found_in_data_of_every_kind(case: str, scale: float):
    """Also where the dimension rests, or never moves otherwise."""
    data = {name: scale * values for name, values in HONEST[case]().items()}
    name = sorted(data)[-1]
    data[name] = data[name].copy()
    data[name][1, 2] = scale * 1e10
    assert list(excluded(data)) == [name]


def test_an_utterance_in_other_units_is_excluded_whole_and_only_it():
    data = normal()
    data["u03"] = data["u03"] * 1e5
    assert list(excluded(data)) == ["u03"]


def test_an_absurd_frame_changes_no_other_utterance():
    data = normal()
    whole = index_arrays(Rows(data), 12.5, 2, "mine")
    data["u07"][0, 0] = 1e30 / 1e16
    rest = index_arrays(Rows(data), 12.5, 2, "mine")
    expected = whole.utterances[whole.utterances["utterance_id"] != "u07"]
    assert rest.utterances["utterance_id"].tolist() == expected["utterance_id"].tolist()
    assert rest.digests == {k: v for k, v in whole.digests.items() if k != "u07"}


def test_the_order_of_rows_decides_nothing():
    data = normal()
    data["u07"][11, 2] = 65504.0
    backward = dict(reversed(list(data.items())))
    one, two = (index_arrays(Rows(rows), 12.5, 2, "mine") for rows in (data, backward))
    assert one.content_hash == two.content_hash
    assert one.exclusions["detail"].tolist() == two.exclusions["detail"].tolist()


def test_honest_data_are_read_once_and_others_twice():
    rows = Rows(normal())
    index_arrays(rows, 12.5, 2, "mine")
    assert rows.num_passes == 1
    rows.data["u07"][11, 2] = 65504.0
    index_arrays(rows, 12.5, 2, "mine")
    assert rows.num_passes == 3
    with pytest.raises(TypeError, match="iterated over again"):
        index_arrays(iter(rows), 12.5, 2, "mine")


def test_the_samples_are_bounded_and_even():
    """A million frames in, no more than the limit held, and the median within its error."""
    spread = Spread(1)
    generator = np.random.default_rng(0)
    for number in range(20):
        spread.add(str(number), generator.normal(number, 1, size=(50000, 1)).astype(np.float32))
        assert spread._frames._held <= 2 * MAXIMUM_SAMPLED
    bounds = spread.bounds()
    assert len(spread._frames.rows()) == MAXIMUM_SAMPLED
    # the SD of a median of n values of density f is 1 / (2 f sqrt(n)), here f = .05
    assert abs(bounds.median[0] - 9.5) < 5 * 10 / np.sqrt(MAXIMUM_SAMPLED)


BAD_VALUES = {
    "nan": (np.float32, np.nan, "not_finite"),
    "infinite": (np.float64, -np.inf, "not_finite"),
    "beyond float32": (np.float64, 1e39, "not_finite"),
    "squares overflow": (np.float32, 1e20, "too_large"),
    "1e30": (np.float64, 1e30, "too_large"),
    "the end of float16": (np.float16, 65504, "too_large"),
    "the low end of float16": (np.float16, -65504, "too_large"),
    "the end of float32": (np.float32, np.finfo(np.float32).max, "too_large"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_what_overflows_is_named_with_its_frame(case: str):
    dtype, value, reason = BAD_VALUES[case]
    values = np.ones((9, 3), dtype)
    values[5, 1] = value
    row = ArrayRow("u", "s", "F", "u.npy", values, None, None)
    fault = array_fault(row)
    assert fault is not None and fault[0] == reason
    assert fault[1].startswith("frame 5, dimension 1: ")
    energy = np.ones(9, dtype)
    energy[4] = value
    fault = array_fault(row._replace(latents=np.ones((9, 3)), energy=energy))
    assert fault is not None and fault[0] == "wrong_energy" and "frame 4" in fault[1]


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e14])
def test_large_and_small_numbers_alone_are_no_fault(scale: float):
    values = scale * np.random.default_rng(0).normal(size=(9, 3))
    assert array_fault(ArrayRow("u", "s", "F", "u.npy", values, None, None)) is None
