"""What a reset by subtraction takes of a core, and how two compartments compute it.

Loihi 1's compartments are reset to zero. Intel's compiler NxTF builds a neuron that subtracts its threshold of two
(intel-nrc-ecosystem/models, nxsdk_modules_ncl/dnn/src; all names below are of that folder):

- the first integrates what arrives and the bias. It never fires and is never reset, and hands its potential to the
  second where it exceeds the threshold (dnn_mapper.py, `_mapCompartments`: threshOp 2, stackOut 1);
- the second keeps nothing from step to step and fires at the same threshold (threshOp 0, decays of 4095). Its spike
  goes to those who read the neuron, and back to the first through a synapse of the negated threshold (dnn_layers.py,
  `neuronSize`, `somaCxIds` and the recurrent axon groups).

So beside its compartments each neuron takes an input axon, an output axon and a run of one synapse, and the tile one
more synapse format, inhibitory and with an exponent of its own. The threshold is rounded to it (dnn_layers.py,
`weightExpSR`): the exponent, up to 7, is the least that brings it to 8 bits.

The subtraction so comes a step after the spike: behind the leak of the potential and through the decay of the current.
Where there are neither, as NxTF itself has it (`_compartmentDefaults`), and no bit of the threshold is lost, the spikes
are those of a neuron that subtracts by itself, unless u wraps. With a leak or a finer threshold it is another neuron
than `IntCubaLif`, which the engine and Lava compute for this chip, too.

Assumed: the second fires in the step in which the potential of the first exceeds the threshold, since compartments hand
their values on as they are updated one after the other; NxSDK, which says so, is not public. Indices and bases of
synapses count neurons and not compartments, which the index multiplier of a format offers (data_structures.py,
`SynFmt.cIdxMult`), though NxTF has bases in compartments.
"""

from dataclasses import dataclass, replace

import numpy as np

from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.counting import index_bits, run_bits
from neuroprune.chips.synapse_lists import MemoryWriter
from neuroprune.chips.tables import Numbers, SynapseFormat, TileAxons
from neuroprune.chips.types import Tile


@dataclass(frozen=True)
class Resets:
    """What the neurons of a tile take beside what they would if a spike set them to zero.

    compartments: of each of its neurons, idle ones too. The others are sums over the tile.
    """

    compartments: int = 1
    input_axons: int = 0
    output_axons: int = 0
    synapse_bits: int = 0
    synapse_formats: int = 0

    def room(self, core: LoihiCore) -> LoihiCore:
        """The core as synapses and neurons find it beside these; with at least one of everything."""
        return replace(
            core,
            neurons_per_core=max(1, core.neurons_per_core // self.compartments),
            input_axons_per_core=max(1, core.input_axons_per_core - self.input_axons),
            synapse_words_per_core=max(1, core.synapse_words_per_core - self.synapse_bits // core.word_bits),
            synapse_formats_per_core=max(1, core.synapse_formats_per_core - self.synapse_formats),
        )


NONE = Resets()


def resets(tile: Tile, stored_bits: int, core: LoihiCore) -> Resets:
    """Of a tile whose neurons subtract the threshold; stored_bits: of a weight."""
    if core.subtracting_compartments == 1:
        return NONE
    bits = stored_bits + _index_bits(core)
    run = int(run_bits(np.array([1]), bits, core)[0])
    return Resets(core.subtracting_compartments, tile.neurons, tile.neurons, tile.neurons * run, 1)


def write_resets(memory: MemoryWriter, place: Numbers, vth: int, stored_bits: int, core: LoihiCore) -> TileAxons:
    """The axons of a tile by which each neuron takes its threshold off itself, a run of one synapse each.

    place: int64 [neurons of the tile], that of each. vth: mantissa of the threshold. stored_bits: of a weight.
    """
    magnitude, exponent = reset_weight(vth, stored_bits)
    form = SynapseFormat(
        stored_bits, _index_bits(core), delay_bits=0, population=False, inhibitory=True, exponent=exponent
    )
    one = np.ones_like(place)
    run = memory.write(form, one, 1, -magnitude * one, place, 0)
    return TileAxons(run, np.zeros_like(run), np.arange(place.size)[:, np.newaxis])


def reset_weight(vth: int, stored_bits: int) -> tuple[int, int]:
    """Magnitude and exponent of the weight that takes `vth` off, rounded to an inhibitory weight of so many bits.

    >>> reset_weight(255, 8), reset_weight(1016, 8), reset_weight(1017, 8)
    ((255, 0), (254, 2), (254, 2))
    """
    exponent = min(max(0, (vth - 1).bit_length() - 8), EXPONENT_MAX)
    step = 1 << 8 - stored_bits
    return min(round(vth / (step << exponent)) * step, 256 - step), exponent


EXPONENT_MAX = 7
"""Of weights (dnn_layers.py, W_EXP_MAX)."""


def _index_bits(core: LoihiCore) -> int:
    """Of an index to any neuron of a core, idle ones among them."""
    return index_bits(core.neurons_per_core // core.subtracting_compartments, core) or core.index_bits_max
