"""What the integers of a program stand for."""

from neuroprune.fixed_point import STATE_SHIFT
from neuroprune.graph.nodes import INPUT
from neuroprune.program.types import IntConnection, IntLayer


def weight_unit(connection: IntConnection, layer: IntLayer, input_unit: float) -> float:
    """Weight units of `layer` for one unit of a float weight of `connection`; input_unit: the float of one input step.

    Bias and scale of a layer are in units of the state, 2**6 to one of the weights (hardware.md, section 1).
    """
    return layer.scale / (1 << STATE_SHIFT) * (input_unit if connection.source == INPUT else 1.0)
