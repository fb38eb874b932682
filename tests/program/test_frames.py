"""Frames as integers: rounded to the nearest, cut at the ends of the field, and counted."""

import numpy as np
import pytest
from programs import dense, program_of

from neuroprune.errors import InputError
from neuroprune.program.frames import check_frames, count_events, quantize_input
from neuroprune.program.types import IntInput

HALF_STEP = [0.49, 0.5, 0.51, 1.49, 1.5, 2.5, -0.5, -1.5, -0.51]


def test_values_go_to_the_nearest_integer_and_halves_to_the_even_one() -> None:
    found, cut = quantize_input(IntInput((9,), 1.0, 8), np.array([HALF_STEP], np.float32))
    assert found.tolist() == [[0, 0, 1, 1, 2, 2, 0, -2, -1]]
    assert (found.dtype, cut) == (np.int8, 0)


@pytest.mark.parametrize(("bits", "low", "high"), [(8, -128, 127), (4, -8, 7), (2, -2, 1), (0, 0, 1)])
def test_what_rounds_beyond_the_field_is_cut_and_counted(bits: int, low: int, high: int) -> None:
    """Half a step beyond an end rounds to it or beyond, whichever is even."""
    values = np.array([[low, high, low - 0.49, high + 0.49, low - 0.51, high + 0.51, -1e30, 1e30]], np.float32)
    found, cut = quantize_input(IntInput((8,), 0.25, bits), values * np.float32(0.25))
    assert found.tolist() == [[low, high] * 4]
    assert cut == 4


def test_units_are_divided_by_in_single_precision() -> None:
    """As the frames are, so that a value that is a whole number of units stays that number."""
    unit = 0.1
    frames = (np.arange(-128, 128) * np.float32(unit)).astype(np.float32)[None]
    found, cut = quantize_input(IntInput((256,), unit, 8), frames)
    assert found[0].tolist() == list(range(-128, 128)) and cut == 0


def test_nothing_in_nothing_out() -> None:
    found, cut = quantize_input(IntInput((2, 3), 1.0, 8), np.zeros((0, 2, 3), np.float32))
    assert found.shape == (0, 2, 3) and cut == 0


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.zeros((2, 1, 1, 3), np.int16), r"the frames are int16, but this program reads int8: quantise them with q"),
        (
            np.zeros((2, 1, 3), np.int8),
            r"the frames have the shape \[2, 1, 3\], but .* \[samples, 1, 1, 3\] with at least one sample: pass",
        ),
        (
            np.zeros((0, 1, 1, 3), np.int8),
            r"the shape \[0, 1, 1, 3\], .* with at least one sample: pass samples of",
        ),
    ],
)
def test_frames_of_another_kind_are_refused(frames: np.ndarray, said: str) -> None:
    program = program_of(dense("out", "input", (1, 1, 3), np.full((2, 3), 2)))
    with pytest.raises(InputError, match=said):
        check_frames(program, frames)


def test_a_frame_counts_at_every_step_and_a_sequence_as_it_comes() -> None:
    layer = dense("out", "input", (3,), np.full((2, 3), 2))
    frames = np.array([[1, 0, -1], [0, 0, 5]], np.int8)
    assert count_events(program_of(layer, steps=4), frames).tolist() == [4, 0, 8]
    assert count_events(program_of(layer, steps=2, sequence=True), frames[None]).tolist() == [1, 0, 2]
