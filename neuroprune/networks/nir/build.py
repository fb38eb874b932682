"""Builds a network from the nodes of a NIR file."""

import inspect
import math
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import nn

from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.networks.nir.catalog import FRAMEWORKS
from neuroprune.networks.nir.dynamics import NEURONS, READ, Dynamics, Reset, Settings, Values, uniform
from neuroprune.networks.nir.file import Array, NirFile, NirNode, read_file
from neuroprune.networks.nir.layers import Layers, Shape
from neuroprune.networks.nir.network import PRESENTED, NirNetwork, Plan, Step, WithOwnSpikes
from neuroprune.networks.nir.order import WEIGHTS, Ordered, in_order
from neuroprune.networks.nir.recognise import recognise
from neuroprune.networks.reference import Word

POSITIVE = ("tau", "tau_mem", "tau_syn", "r", "v_threshold")
RESETS: tuple[Reset, ...] = ("zero", "subtract")


def read_nir(
    path: Path,
    framework: str | None = None,
    dt: float | None = None,
    reset: Reset | None = None,
    norm_input: bool = True,
) -> NirNetwork:
    """The network of a NIR file, with its weights, as SpikingJelly layers that take [T, N, C, H, W] and give [N, K].

    framework: which of `FRAMEWORKS` wrote it; None to recognise it by its signs. dt: seconds of a step, of frameworks
    that have one. reset: what a spike does to the voltage, where the file does not say it. norm_input: whether sinabs'
    LIF scales its input. Nothing of the file is executed.
    Raises InputError where the file is damaged, ambiguous, or holds what the chip cannot do; node and reason are named.
    """
    settings = _settings(path, framework, dt, reset, norm_input)
    file = read_file(path)
    nodes = in_order(file, path)
    _check_positive(file, Layers(path))
    chosen = framework or recognise(file, path)
    return _Building(path, file, chosen, settings).network(nodes, is_told=framework is not None)


def read_referenced(path: Path, arguments: dict[str, Any]) -> NirNetwork:
    """The network of the NIR file at `path`, with the arguments of a reference. Raises InputError."""
    arguments = {name: str(value) if isinstance(value, Word) else value for name, value in arguments.items()}
    try:
        inspect.signature(read_nir).bind(path, **arguments)
    except TypeError as error:
        known = ", ".join(name for name in inspect.signature(read_nir).parameters if name != "path")
        raise InputError(f"{path} cannot be read so ({capped(error)}): give no other arguments than {known}") from error
    return read_nir(path, **arguments)


def _settings(path: Path, framework: Any, dt: Any, reset: Any, norm_input: Any) -> Settings:
    """Raises InputError for values that are none of those that there are."""
    choices: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
        ("framework", framework, (None, *(info.name for info in FRAMEWORKS))),
        ("reset", reset, (None, *RESETS)),
        ("norm_input", norm_input, (True, False)),
    )
    for name, value, known in choices:
        if value not in known:
            listed = ", ".join(str(each) for each in known if each is not None)
            raise InputError(f"{path} cannot be read with {name}={excerpt(value)}: give one of {listed}")
    is_number = isinstance(dt, int | float) and not isinstance(dt, bool)
    if dt is not None and not (is_number and math.isfinite(dt) and dt > 0):
        raise InputError(f"{path} cannot be read with dt={excerpt(dt)}: give seconds above 0, as in dt=1e-3")
    return Settings(dt, reset, norm_input)


def _check_positive(file: NirFile, make: Layers) -> None:
    """Raises InputError for time constants, resistances and thresholds that are not above 0."""
    for node in file.nodes.values():
        for name in POSITIVE:
            values = node.arrays.get(name)
            if values is not None and np.any(values <= 0):
                raise make.error(node, f"has a {name} of {np.min(values):g}, and it must be above 0: correct the file")


class _Building:
    """A network under construction: its layers and steps so far, and the shapes of their values."""

    def __init__(self, path: Path, file: NirFile, framework: str, settings: Settings) -> None:
        self.path, self.file, self.framework, self.settings = path, file, framework, settings
        self.make = Layers(path)
        self.layers: dict[str, nn.Module] = {}
        self.steps: list[Step] = []
        self.shapes: dict[str, Shape] = {}
        self.layer_of: dict[str, str] = {}
        self.readers: dict[str, int] = {}
        self.back: dict[str, list[nn.Linear | nn.Conv2d]] = {}
        self.remarks: dict[str, None] = {}
        """A set, in order."""

    def network(self, nodes: tuple[Ordered, ...], is_told: bool) -> NirNetwork:
        for each in nodes:
            for source in each.sources:
                self.readers[source] = self.readers.get(source, 0) + 1
        title = next(info.title for info in FRAMEWORKS if info.name == self.framework)
        why = "" if is_told else ", as it says" if self.framework == "neuroprune" else ", by the signs of its neurons"
        self.remarks[f"read as written by {title}{why}"] = None
        first, last = nodes[0], nodes[-1]
        self._present(first.node, nodes)
        for each in nodes[1:]:
            self._add(each)
        voltage = self._voltage(last)
        if voltage is None and len(self.shapes[last.node.name]) > 1:
            outputs = (prod(self.shapes[last.node.name]),)
            self._step(f"{last.node.name}.flatten", (last.node.name,), layer.Flatten(), outputs)
        self._votes(last, voltage)
        plan = Plan(self.input_shape, tuple(self.steps), voltage)
        remarks = tuple(f"{self.path}: {remark}" for remark in self.remarks)
        return NirNetwork(plan, self.layers, remarks)

    def _present(self, node: NirNode, nodes: tuple[Ordered, ...]) -> None:
        """The shape of the input: that which the file states, without axes of batch or time that exporters leave in."""
        stated = self.make.whole(node, "shape", 1) if "shape" in node.arrays else ()
        taking = [each.node for each in nodes if node.name in each.sources and each.node.kind in WEIGHTS]
        weight = taking[0].arrays["weight"] if taking else None
        if weight is not None and weight.ndim == 2 and (not stated or prod(stated) != weight.shape[1] == stated[-1]):
            stated = (weight.shape[1],)
        axes = 3 if weight is None else weight.ndim - 1
        if weight is not None and weight.ndim > 2 and len(stated) > axes:
            stated = stated[-axes:]
        if not stated:
            raise self.make.error(node, "does not say the shape of a sample: export it again with one")
        self.input_shape = stated
        flattened = layer.Flatten() if len(stated) == 1 else None
        self._step(node.name, (PRESENTED,), flattened, (stated[0], 1, stated[1]) if len(stated) == 2 else stated)

    def _add(self, each: Ordered) -> None:
        node, shapes = each.node, {self.shapes[source] for source in each.sources}
        if len(shapes) > 1:
            listed = " and ".join(str(shape) for shape in sorted(shapes))
            raise self.make.error(node, f"adds up values of the shapes {listed}: correct the file")
        shape = shapes.pop()
        match node.kind:
            case "Input" | "Output":
                self._step(node.name, each.sources, None, shape)
            case kind if kind in WEIGHTS:
                self._add_weights(each, shape)
            case "SumPool2d" | "AvgPool2d":
                module, shape, factor = self.make.pool(node, shape)
                self._step(node.name, each.sources, module, shape, factor)
            case "Flatten":
                self._step(node.name, each.sources, layer.Flatten() if len(shape) > 1 else None, (prod(shape),))
                if not self.make.flattens_all(node, shape):
                    self.remarks[f"node {capped(node.name)} flattens all of {shape}, not a part of it as it says"] = (
                        None
                    )
            case "Scale":
                self._scale(each, node.arrays["scale"].astype(np.float64), shape)
            case _:
                self._add_neurons(each, shape)

    def _add_weights(self, each: Ordered, shape: Shape) -> None:
        node, sources = each.node, each.sources
        weight = node.arrays["weight"]
        if weight.ndim == 2 and len(shape) > 1 and prod(shape) == weight.shape[1]:
            shape = (prod(shape),)
            self._step(f"{node.name}.flatten", sources, layer.Flatten(), shape)
            sources = (f"{node.name}.flatten",)
            self.readers[sources[0]] = 1
        module, shape = self.make.weights(node, shape)
        self._step(node.name, sources, module, shape)

    def _add_neurons(self, each: Ordered, shape: Shape) -> None:
        node = each.node
        for values in node.arrays.values():
            self._whole(node, values, shape)
        found = READ[self.framework](node, self.settings)
        if self.settings.reset is not None:
            found = replace(found, reset=self.settings.reset)
        if found.problem is not None:
            raise self.make.error(node, f"cannot be carried: {found.problem}")
        self.remarks.update(dict.fromkeys(f"node {capped(node.name)}: {remark}" for remark in found.remarks))
        decay, current_decay = (
            self._decay(node, "voltage", found.decay),
            self._decay(node, "current", found.current_decay),
        )
        if current_decay == 0.0:
            raise self.make.error(node, "has a current that never decays, which the chip does not have: use a LIF")
        self.back[node.name] = [self._back(weights, shape) for weights in each.back]
        found = self._scaled_by_weights(each, found, shape)
        gain, threshold = uniform(found.gain), math.inf if found.threshold is None else uniform(found.threshold)
        assert gain is not None and threshold is not None
        if not (threshold > 0.0 and gain != 0.0):
            raise self.make.error(
                node, f"has a threshold of {threshold:g} and a gain of {gain:g}, and neither may be 0: correct the file"
            )
        if node.kind == "I":  # read by the mean of what it receives, which is its last voltage over the steps
            self._step(node.name, each.sources, None, shape, gain)
            return
        if found.strict and found.reset == "zero" and math.isfinite(threshold):  # what is subtracted must stay as it is
            threshold = float(np.nextafter(np.float32(threshold), np.float32(np.inf)))
        v_reset = None if found.reset == "subtract" and math.isfinite(threshold) else 0.0
        factor, module = _neurons(decay, current_decay, gain, threshold, v_reset)
        own = self.back[node.name]
        if own:
            for synapse in own:
                _weigh_layer(synapse, np.full(shape[0], factor), np.zeros(shape[0]))
            module = layer.ElementWiseRecurrentContainer(module, WithOwnSpikes(own))
        self._step(node.name, each.sources, module, shape, factor)

    def _back(self, node: NirNode, shape: Shape) -> nn.Linear | nn.Conv2d:
        """The weights through which neurons of `shape` read themselves."""
        module, reached = self.make.weights(node, shape)
        if reached != shape or not isinstance(module, nn.Linear | nn.Conv2d):
            raise self.make.error(node, f"leads from neurons of {shape} to values of {reached}: correct the file")
        return module

    def _whole(self, node: NirNode, values: Array, shape: Shape) -> Values:
        """`values` for each neuron of `shape`; axes of length 1 are left out, and added, as they come."""
        whole = values.astype(np.float64)
        if [size for size in values.shape if size > 1] == [size for size in shape if size > 1]:
            return whole.reshape(shape)
        try:
            return np.broadcast_to(whole, shape)
        except ValueError as error:
            raise self.make.error(
                node, f"has values of shape {values.shape} for neurons of {shape}: correct the file"
            ) from error

    def _decay(self, node: NirNode, what: str, values: Values) -> float:
        """The share that all neurons lose in a step. Raises InputError where they differ, or it is none."""
        decay = uniform(values)
        if decay is None:
            low, high = float(np.min(values)), float(np.max(values))
            raise self.make.error(
                node,
                f"has neurons whose {what} loses {low:.4g} to {high:.4g} in a step, and those of a layer of the chip "
                "all lose the same: train it with one time constant a layer",
            )
        if what == "voltage" and decay == 1.0:
            raise self.make.error(
                node,
                "keeps nothing of its voltage, and neurons of the chip keep some: use a larger time constant",
            )
        if not 0.0 <= decay <= 1.0:
            raise self.make.error(
                node,
                f"has a {what} that loses {decay:.4g} in a step, and it must be between 0 and 1: name the framework "
                "that wrote the file, or its step (--args framework=norse,dt=1e-3)",
            )
        return decay

    def _scaled_by_weights(self, each: Ordered, found: Dynamics, shape: Shape) -> Dynamics:
        """`found` with the same gain and threshold for all, and no bias: those that differ go into the weights before.

        A neuron with gain g, bias b and threshold t does the same as one of gain and threshold 1 that receives g / t
        times as much, and b / t on top.
        """
        threshold = np.ones(()) if found.threshold is None else found.threshold
        same = uniform(found.gain) is not None and uniform(threshold) is not None
        if same and not np.any(found.bias):
            return found
        if np.any(found.bias) and uniform(found.current_decay) != 1.0:
            raise self.make.error(
                each.node, "has a v_leak other than 0 beside a current, which no layer here has: set v_leak to 0"
            )
        if np.any(threshold <= 0.0) or np.any(found.gain == 0.0):
            raise self.make.error(each.node, "has thresholds or gains of 0, and neither may be 0: correct the file")
        if same:
            factor, offset = np.ones(()), found.bias / found.gain
        else:
            factor, offset = found.gain / threshold, found.bias / threshold
        self._weigh(each, factor, offset, shape)
        bias = np.zeros(())
        if same:
            return replace(found, bias=bias)
        one = np.ones(())
        return replace(found, bias=bias, gain=one, threshold=None if found.threshold is None else one)

    def _scale(self, each: Ordered, scale: Values, shape: Shape) -> None:
        factor = uniform(scale)
        if factor is not None:
            self._step(each.node.name, each.sources, None, shape, factor)
            return
        self._weigh(each, scale, np.zeros(()), shape)
        self._step(each.node.name, each.sources, None, shape)

    def _weigh(self, each: Ordered, factor: Values, offset: Values, shape: Shape) -> None:
        """Multiply what the layers before `each` deliver by `factor`, and add `offset`, in their weights and biases."""
        node = each.node
        channels = []
        for values in (factor, offset):
            whole = self._whole(node, values, shape).reshape(shape[0], -1)
            if any(uniform(channel) is None for channel in whole):
                raise self.make.error(
                    node,
                    "has parameters that differ within a channel, which no convolution can carry: use one a channel",
                )
            channels.append(whole[:, 0])
        for index, source in enumerate(each.sources):
            module = self.layers.get(self.layer_of.get(source, ""))
            if self.readers[source] > 1 or not isinstance(module, nn.Linear | nn.Conv2d):
                raise self.make.error(
                    node,
                    f"has parameters that differ from neuron to neuron, or a v_leak, and reads {capped(source)}, whose "
                    "weights cannot carry them: use one value for all, and no v_leak",
                )
            _weigh_layer(module, channels[0], channels[1] if index == 0 else np.zeros(len(channels[1])))
        for own in self.back.get(node.name, ()):
            _weigh_layer(own, channels[0], np.zeros(len(channels[0])))

    def _voltage(self, last: Ordered) -> str | None:
        """The layer whose voltage the network is read by: integrators right before the output."""
        integrators = [
            each for each in self.file.nodes.values() if each.kind in NEURONS and "v_threshold" not in each.arrays
        ]
        if not integrators:
            return None
        source = last.sources[0]
        while self.file.nodes.get(source, last.node).kind in ("Input", "Output", "Flatten"):
            source = next(step.sources[0] for step in self.steps if step.name == source)
        if len(last.sources) > 1 or [each.name for each in integrators] != [source]:
            raise self.make.error(
                integrators[0],
                "passes on its voltage, and layers of the chip pass on spikes: put a LIF there, or have it last",
            )
        if len(self.shapes[source]) > 1:
            raise self.make.error(
                integrators[0], "is last and gives maps, not a vector of scores: flatten them before it"
            )
        if integrators[0].kind == "I":
            return None
        self.remarks[f"scores are the voltages of {capped(source)} after the last step"] = None
        return self.layer_of[source]

    def _votes(self, last: Ordered, voltage: str | None) -> None:
        """The mean of the outputs that vote for one class, as neuroprune's metadata say."""
        votes, outputs = self.file.metadata.get("votes", 1.0), prod(self.shapes[last.node.name])
        if votes == 1.0:
            return
        if isinstance(votes, str) or voltage is not None or votes < 1 or votes != int(votes) or outputs % int(votes):
            raise InputError(
                f"{self.path} states {excerpt(votes)} votes for each class, which {outputs} outputs cannot give: "
                "write it again"
            )
        name = f"{last.node.name}.votes"
        self._step(name, (self.steps[-1].name,), layer.VotingLayer(int(votes)), (outputs // int(votes),))

    def _step(
        self, name: str, sources: tuple[str, ...], module: nn.Module | None, shape: Shape, factor: float = 1.0
    ) -> None:
        if module is None:
            self.steps.append(Step(name, sources, None, factor))
        else:
            called = self._name(name)
            self.layers[called] = module
            self.layer_of[name] = called
            self.steps.append(Step(name, sources, called, factor))
        self.shapes[name] = shape

    def _name(self, name: str) -> str:
        """A name for a layer, which may have no dots, and be no other attribute of a module."""
        plain = first = capped(name).replace(".", "_").replace("/", "_")
        count = 1
        while (
            plain in self.layers or hasattr(NirNetwork, plain) or plain in ("plan", "remarks", "", "training", "input")
        ):
            count += 1
            plain = f"{first}_{count}"
        return plain


def _neurons(
    decay: float, current_decay: float, gain: float, threshold: float, v_reset: float | None
) -> tuple[float, nn.Module]:
    """The factor of what neurons receive, 1 within the rounding of float32 where that is meant, and the neurons."""
    shared: dict[str, Any] = {"v_threshold": threshold, "v_reset": v_reset, "surrogate_function": surrogate.ATan()}
    if math.isclose(gain, 1.0, rel_tol=1e-6):
        gain = 1.0
    if current_decay < 1.0:
        return gain, neuron.CUBALIFNode(1.0 - current_decay, 1.0 - decay, **shared)
    if decay == 0.0:
        return gain, neuron.IFNode(**shared)
    if math.isclose(gain, decay, rel_tol=1e-6):
        return 1.0, neuron.LIFNode(tau=1.0 / decay, decay_input=True, **shared)
    return gain, neuron.LIFNode(tau=1.0 / decay, decay_input=False, **shared)


def _weigh_layer(module: nn.Linear | nn.Conv2d, factor: Values, offset: Values) -> None:
    weight = module.weight.detach().double().numpy()
    bias = np.zeros(len(weight)) if module.bias is None else module.bias.detach().double().numpy()
    bias = bias * factor + offset
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))))
    module.bias = nn.Parameter(torch.from_numpy(bias).float()) if np.any(bias) else None
