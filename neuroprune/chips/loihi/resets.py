"""What a reset by subtraction takes of a core.

Loihi 1's compartments are reset to zero. Intel's compiler NxTF builds a neuron that subtracts its threshold of two:
the first integrates, the second fires and sends its spike back to the first through a synapse of the negated threshold
(intel-nrc-ecosystem/models, nxsdk_modules_ncl/dnn/src/dnn_layers.py: `neuronSize`, and the recurrent axon groups). So
beside its compartments each neuron takes an input axon, an output axon and a run of one synapse, and the tile one more
synapse format. Assumed: the indices of synapses count neurons and not compartments, which the index multiplier of a
synapse format offers (data_structures.py, `SynFmt.cIdxMult`).
"""

from dataclasses import dataclass, replace

import numpy as np

from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.counting import index_bits, run_bits
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
    bits = stored_bits + (index_bits(tile.neurons, core) or core.index_bits_max)
    run = int(run_bits(np.array([1]), bits, core)[0])
    return Resets(core.subtracting_compartments, tile.neurons, tile.neurons, tile.neurons * run, 1)
