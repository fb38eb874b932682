"""The results of running an integer program: activity summed over all samples, or every spike of a few."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """Activity of one layer, summed over all samples and steps.

    spikes: int64 [layer shape], spikes of each neuron.
    current_wraps: times that u, or the sum of a convolution, left its 24 bits and wrapped.
    voltage_saturations: times that v saturated at +-(2**23 - 1).
    """

    name: str
    spikes: npt.NDArray[np.int64]
    current_wraps: int
    voltage_saturations: int


@dataclass(frozen=True, eq=False)
class Trace:
    """The activity of all samples that ran, layer by layer.

    outputs: int64 [samples, outputs], spikes of the last layer in each sample or, by the readout, its voltages.
    input_events: int64 [input shape], non-zero spikes of each input, over all samples and steps.
    saturated_inputs: input values beyond the graded range, over all samples (counted once a sample).
    """

    samples: int
    steps: int
    outputs: npt.NDArray[np.int64]
    input_events: npt.NDArray[np.int64]
    saturated_inputs: int
    layers: tuple[LayerTrace, ...]


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """Every spike and the last voltage of one layer; in a full record also u and v of every step.

    spikes: bool [samples, steps, layer shape]; voltages: int32 [samples, layer shape], after the last step's reset.
    u, v: int32 [samples, steps, layer shape], at the end of each step, v after its reset.
    """

    name: str
    spikes: npt.NDArray[np.bool_]
    voltages: npt.NDArray[np.int32]
    u: npt.NDArray[np.int32] | None = None
    v: npt.NDArray[np.int32] | None = None


@dataclass(frozen=True, eq=False)
class Record:
    """Every spike of a few samples, layer by layer: what exact engine, reference and Lava are compared by."""

    layers: tuple[LayerRecord, ...]
