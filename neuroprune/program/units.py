"""The float values that the integers of a program stand for."""

from neuroprune.fixed_point import STATE_SHIFT
from neuroprune.graph.nodes import INPUT
from neuroprune.program.types import IntConnection, IntLayer


def weight_unit(connection: IntConnection, layer: IntLayer, input_unit: float) -> float:
    """Weight units of `layer` for one unit of a float weight of `connection`; input_unit: the float of one input step.

    Bias and scale of a layer are in units of the state, 2**6 of which are one weight unit (Lava 0.10,
    proc/lif/models.py, act_shift).
    """
    return layer.scale / (1 << STATE_SHIFT) * (input_unit if connection.source == INPUT else 1.0)
