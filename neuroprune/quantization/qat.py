"""Fine-tuning with the chip's exact rounding in the forward pass (quantisation-aware training).

Float weights and biases are kept beside the integers that they round to. The forward pass computes what the chip does
(neuroprune/quantization/forward.py), the backward pass treats every rounding as the identity (the straight-through
estimator: Bengio et al. 2013, arXiv 1308.3432). Scales, thresholds and decays stay as they were quantised. What the
chip need not store, or stores once, stays so: zero weights are held at zero, taps that a pool made equal train as one,
and so do equal synapses from several layers.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from neuroprune.arrays import Frames, InputSpikes, Labels, frozen_array
from neuroprune.chips.chip import Chip
from neuroprune.errors import InputError
from neuroprune.fixed_point import (
    STATE_SHIFT,
    IntegerRules,
    round_into,
    round_weights,
    signed_range,
    weight_range,
    weight_step,
)
from neuroprune.graph.float_program import FloatLayer, FloatProgram
from neuroprune.graph.nodes import INPUT
from neuroprune.graph.readout import class_scores
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.program.units import weight_unit
from neuroprune.progress import Progress, silent
from neuroprune.quantization.forward import deliver, fire, fire_with_feedback, one_step_later
from neuroprune.quantization.free_weights import FreeWeights
from neuroprune.quantization.quantize import int_synapse

FramesOf = Callable[[npt.NDArray[np.int64]], Frames]
"""From sample numbers, int64 [samples], to the float32 frames of these samples, as the network sees them."""


@dataclass(frozen=True)
class QatSettings:
    """epochs: passes over the samples. logit_scale: factor from scores to logits of the cross-entropy, as in training.

    batch: samples per optimiser step. seed: random seed of their order. lr: first learning rate of Adam, which falls to
    0 as a cosine, for weights in units of the root mean square of those of their synapse that are not zero.
    """

    epochs: int
    logit_scale: float
    batch: int = 128
    lr: float = 0.005
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Finetuned:
    """floats: the float program with the trained weights. program: the integers that they round to."""

    floats: FloatProgram
    program: IntProgram


def finetune_quantised(
    floats: FloatProgram,
    program: IntProgram,
    frames_of: FramesOf,
    labels: Labels,
    chip: Chip,
    settings: QatSettings,
    progress: Progress = silent,
) -> Finetuned:
    """Fine-tune the weights and biases of `floats` with the rounding of `program`, which `quantize` made of it.

    frames_of: gives the frames of the samples that `labels`, int64 [samples], belong to.
    The same seed gives the same integers on the same machine. Raises InputError where training diverges.

    >>> import torch
    >>> from neuroprune import (
    ...     QatSettings, build, finetune_quantised, fold, frames_of, load_chip, load_dataset, load_recipe, quantize,
    ...     trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> tuned = finetune_quantised(
    ...     floats, program, lambda chosen: frames[chosen], data.train.labels[:16], load_chip("loihi-sim"),
    ...     QatSettings(epochs=1, logit_scale=5.0),
    ... )
    >>> tuned.program.layers[0].neuron.vth == program.layers[0].neuron.vth  # only weights and biases change
    True
    """
    layers = [
        _TrainedLayer(layer, exact, program.input.unit, chip.rules)
        for layer, exact in zip(program.layers, floats.layers, strict=True)
    ]
    optimizer = torch.optim.Adam([parameter for layer in layers for parameter in layer.parameters], lr=settings.lr)
    size = min(settings.batch, len(labels))
    steps = settings.epochs * (len(labels) // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    order = np.random.default_rng(settings.seed)
    done = 0
    for epoch in range(settings.epochs):
        start, loss_sum, correct, seen = time.perf_counter(), 0.0, 0, 0
        for chosen in _batches(order.permutation(len(labels)), size):
            expected = torch.from_numpy(labels[chosen])
            scores = _scores(program, layers, quantize_input(program.input, frames_of(chosen))[0])
            loss = cross_entropy(settings.logit_scale * scores, expected)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            for layer in layers:
                layer.keep_in_range()
            done, seen = done + 1, seen + size
            loss_sum += loss.item() * size
            correct += int((scores.argmax(1) == expected).sum())
            progress(
                "fine-tuning",
                done,
                steps,
                epoch=epoch + 1,
                loss=loss_sum / seen,
                accuracy=correct / seen,
                images_per_s=seen / (time.perf_counter() - start),
            )
        _check_finite(layers, epoch)
    trained = _with_weights(floats, program, layers)
    return Finetuned(trained, round_like(trained, program, chip.rules))


def round_like(floats: FloatProgram, program: IntProgram, rules: IntegerRules) -> IntProgram:
    """`floats` in integers, at the scales and with the thresholds and decays of `program`."""
    layers = []
    for layer, exact in zip(program.layers, floats.layers, strict=True):
        connections = []
        for connection, trained in zip(layer.connections, exact.connections, strict=True):
            weight = trained.synapse.weight * weight_unit(connection, layer, program.input.unit)
            rounded = int_synapse(trained.synapse, round_weights(weight, layer.weight_bits))
            connections.append(replace(connection, synapse=rounded))
        mantissa = round_into(exact.bias * layer.scale / 2**layer.bias.exponent, rules.bias_bits)
        bias = replace(layer.bias, mantissa=mantissa)
        layers.append(replace(layer, connections=tuple(connections), bias=bias))
    return replace(program, layers=tuple(layers))


class _TrainedLayer:
    """Weights and biases, both with gradients; biases in the unit of the first connection's weights.

    weights: of each connection; equal synapses have theirs in common.
    """

    def __init__(self, layer: IntLayer, exact: FloatLayer, input_unit: float, rules: IntegerRules) -> None:
        self.layer = layer
        self.ops = [connection.synapse for connection in exact.connections]
        self.range = weight_range(layer.weight_bits)
        self.step = weight_step(layer.weight_bits)
        distinct: dict[object, FreeWeights] = {}
        self.weights = []
        for op, connection in zip(self.ops, layer.connections, strict=True):
            weight = op.weight * weight_unit(connection, layer, input_unit)
            alike = connection.in_shape, weight.shape, weight.tobytes()
            if alike not in distinct:
                distinct[alike] = FreeWeights(weight, connection.in_shape, self.range)
            self.weights.append(distinct[alike])
        self.distinct = list(distinct.values())
        self.bias_range = signed_range(rules.bias_bits)
        self.bias_unit = float(1 << STATE_SHIFT) * self.weights[0].unit
        self.bias = torch.tensor(exact.bias * layer.scale / self.bias_unit, dtype=torch.float32).requires_grad_()
        self.parameters = [*(weights.parameter for weights in self.distinct), self.bias]

    def fire(self, outputs_of: Mapping[str, Tensor], steps: int) -> tuple[Tensor, Tensor]:
        """Spikes and last voltages for what the sources, by name, send.

        What the layer sends to itself is found first, and then taken as given: the gradient of recurrent weights is
        exact for those spikes, and none flows back through them into earlier steps.
        """
        rounded = {each: self._rounded(each.whole(), self.step, self.range) for each in self.distinct}
        synapses = [
            (connection.source, op, rounded[weights])
            for connection, op, weights in zip(self.layer.connections, self.ops, self.weights, strict=True)
        ]
        own = [(op, weight) for source, op, weight in synapses if source == self.layer.name]
        parts = [deliver(op, weight, outputs_of[source]) for source, op, weight in synapses if source in outputs_of]
        current = reduce(torch.add, parts)
        mantissa_unit = 2.0**self.layer.bias.exponent
        low, high = self.bias_range
        bias = self._rounded(self.bias * self.bias_unit, mantissa_unit, (low * mantissa_unit, high * mantissa_unit))
        bias = bias.reshape(-1, *(1 for _ in self.layer.shape[1:]))
        if own:

            def feedback(spikes: Tensor) -> Tensor:
                return torch.stack([deliver(op, weight, spikes[None])[0] for op, weight in own]).sum(0)

            spikes = fire_with_feedback(current, bias, self.layer.neuron, steps, feedback)
            for op, weight in own:
                current = current + deliver(op, weight, one_step_later(spikes))
        return fire(current, bias, self.layer.neuron, steps)

    @staticmethod
    def _rounded(values: Tensor, step: float, ends: tuple[float, float]) -> Tensor:
        """The field's nearest values, with the gradient of `values`."""
        rounded = ((values.detach() / step).round() * step).clamp(*ends)
        return rounded + (values - values.detach())

    def keep_in_range(self) -> None:
        """Clip weights to their field, beyond which their gradient would have no effect."""
        for weights in self.distinct:
            weights.keep_in_range()


def _scores(program: IntProgram, layers: Sequence[_TrainedLayer], frames: InputSpikes) -> Tensor:
    """Scores [samples, classes], as the trained network itself would return them."""
    values = torch.from_numpy(frames).float()
    outputs_of = {INPUT: values.transpose(0, 1) if program.input.sequence else values.unsqueeze(0)}
    for trained in layers:
        layer = trained.layer
        spikes, voltages = trained.fire(outputs_of, program.steps)
        outputs_of[layer.name] = spikes
    outputs = voltages / layer.scale if program.readout.of == "voltage" else spikes.sum(0)
    if program.readout.over_time == "mean":
        outputs = outputs / program.steps
    return class_scores(program.readout, outputs.flatten(1))


def _with_weights(floats: FloatProgram, program: IntProgram, layers: Sequence[_TrainedLayer]) -> FloatProgram:
    """`floats` with the trained weights and biases."""
    changed = []
    for trained, exact in zip(layers, floats.layers, strict=True):
        layer = trained.layer
        connections = []
        for number, (original, connection) in enumerate(zip(exact.connections, layer.connections, strict=True)):
            weight = trained.weights[number].whole().detach().double().numpy()
            weight = frozen_array(weight / weight_unit(connection, layer, program.input.unit), np.float64)
            connections.append(replace(original, synapse=replace(original.synapse, weight=weight)))
        bias = frozen_array(trained.bias.detach().double().numpy() * trained.bias_unit / layer.scale, np.float64)
        changed.append(replace(exact, connections=tuple(connections), bias=bias))
    return replace(floats, layers=tuple(changed))


def _batches(order: npt.NDArray[np.int64], size: int) -> list[npt.NDArray[np.int64]]:
    return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]


def _check_finite(layers: Sequence[_TrainedLayer], epoch: int) -> None:
    """Raise InputError when a weight is not finite; the loss need not show it, since NaN never spikes."""
    for trained in layers:
        if not all(torch.isfinite(parameter).all() for parameter in trained.parameters):
            raise InputError(
                f"fine-tuning diverged in epoch {epoch + 1}: layer {trained.layer.name} holds weights that are not "
                "finite; lower the learning rate"
            )
