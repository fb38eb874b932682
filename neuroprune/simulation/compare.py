"""Comparing two records of the same run."""

import numpy as np
import numpy.typing as npt

from neuroprune.errors import VerificationError
from neuroprune.simulation.types import LayerRecord, Record

ADVICE = "the integer program does not run as verified, please report it with the checkpoint"


def compare(expected: Record, actual: Record) -> None:
    """Raise VerificationError at the first difference: earliest layer, sample, step and neuron, in this order.

    Both records must be of the same program and samples. Spikes are compared first, then u and v of every step where
    both records have them, then the last voltages.

    >>> import torch
    >>> from neuroprune import (
    ...     build, compare, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, quantize_input, record,
    ...     reestimate_batchnorm, run_reference, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> spikes, clipped = quantize_input(program.input, frames[:1])
    >>> compare(run_reference(program, spikes)[0], record(program, spikes))  # no difference, no error
    """
    for left, right in zip(expected.layers, actual.layers, strict=True):
        assert left.name == right.name
        _compare_spikes(left, right)
        for what, state, other in (("u", left.u, right.u), ("v", left.v, right.v)):
            if state is not None and other is not None:
                _compare_states(left.name, what, state, other)
        _compare_voltages(left, right)


def _compare_spikes(expected: LayerRecord, actual: LayerRecord) -> None:
    differences = np.argwhere(expected.spikes != actual.spikes)
    if len(differences) == 0:
        return
    sample, step, *place = differences[0].tolist()
    fires = bool(actual.spikes[tuple(differences[0])])
    raise VerificationError(
        f"layer {expected.name!r}, {_neuron(place)}, sample {sample}, step {step}: "
        f"{'a spike where none' if fires else 'no spike where one'} was expected "
        f"({len(differences)} of {expected.spikes.size} spikes of this layer differ): {ADVICE}"
    )


def _compare_states(layer: str, what: str, expected: npt.NDArray[np.int32], actual: npt.NDArray[np.int32]) -> None:
    differences = np.argwhere(expected != actual)
    if len(differences) == 0:
        return
    index = tuple(differences[0])
    sample, step, *place = differences[0].tolist()
    raise VerificationError(
        f"layer {layer!r}, {_neuron(place)}, sample {sample}, step {step}: {what} is {actual[index]} where "
        f"{expected[index]} was expected ({len(differences)} of {expected.size} values of {what} of this layer "
        f"differ): {ADVICE}"
    )


def _compare_voltages(expected: LayerRecord, actual: LayerRecord) -> None:
    differences = np.argwhere(expected.voltages != actual.voltages)
    if len(differences) == 0:
        return
    index = tuple(differences[0])
    sample, *place = differences[0].tolist()
    raise VerificationError(
        f"layer {expected.name!r}, {_neuron(place)}, sample {sample}, after the last step "
        f"(step {expected.spikes.shape[1] - 1}): voltage {actual.voltages[index]} where {expected.voltages[index]} was "
        f"expected ({len(differences)} of {expected.voltages.size} voltages of this layer differ): {ADVICE}"
    )


def _neuron(place: list[int]) -> str:
    """(channel, y, x), or the index of a neuron in a dense layer."""
    return f"neuron {place[0]}" if len(place) == 1 else "neuron ({})".format(", ".join(map(str, place)))
