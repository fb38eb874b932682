"""Containers that hand what they gave one step before to the layers within them, followed step by step.

What was fired in the last step is a `Delay` of the neurons that the code within ends with; they are known once the
first step has run.
"""

from typing import Any

import torch
from spikingjelly.activation_based import layer

from neuroprune.graph.layout import FRAMES, SEQUENCE
from neuroprune.graph.nodes import Delay, Node, Shape
from neuroprune.graph.signals import Recorder, Signal
from neuroprune.neurons.model import FloatNeuron

CONTAINERS = (layer.LinearRecurrentContainer, layer.ElementWiseRecurrentContainer)


def is_recurrent(module: Any) -> bool:
    """Whether it is such a container, and none of a subclass."""
    return type(module) in CONTAINERS


def follow_recurrence(recorder: Recorder, path: str, container: Any, signal: Signal) -> Any | str:
    """The symbol for what `container` gives for `signal`, all steps of it or one; or why there is none."""
    by_steps = container.step_mode == "m"
    if signal.layout != (SEQUENCE if by_steps else FRAMES):
        return f"layer {path}: it is in step mode {container.step_mode!r} but reads no " + (
            "[T, N, ...]; set its step mode to 's'" if by_steps else "single steps; set its step mode to 'm'"
        )
    first = signal[0] if by_steps else signal  # type: ignore[index]  # Symbol sets the operators
    before = _before(path, container, first)
    name = recorder.node(f"{path}.y", (path, "y"), Delay(""), (), tuple(before.shape[1:]))
    given = []
    for step in range(signal.steps if by_steps else 1):
        x = signal[step] if by_steps else signal  # type: ignore[index]
        y = Signal(before, recorder, name, FRAMES, x.at)
        if isinstance(container, layer.LinearRecurrentContainer):
            within = container.rc(torch.cat((x, y), dim=-1))  # type: ignore[arg-type]  # symbols
        else:
            within = container.element_wise_function(y, x)
        output = container.sub_module(within)
        fired = recorder.nodes[output.node] if isinstance(output, Signal) else None
        if fired is None or not isinstance(fired.op, FloatNeuron) or fired.shape != tuple(before.shape[1:]):
            return (
                f"layer {path}: it hands on to the next step what its neurons did not fire just so; let it end with "
                "a LIFNode or IFNode"
            )
        recorder.nodes[name] = Node(name, Delay(fired.name), (), fired.shape)
        given.append(output)
    return torch.stack(given) if by_steps else given[0]


def _before(path: str, container: Any, x: Signal) -> torch.Tensor:
    """What was fired before the first step: nothing."""
    shape: Shape = x.sample
    if isinstance(container, layer.LinearRecurrentContainer):
        shape = (*shape[:-1], container.sub_module_out_features)
    return x.value.new_zeros(x.value.shape[0], *shape)
