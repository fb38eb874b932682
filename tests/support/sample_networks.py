"""Small networks: their own ways of going through time, branches of every kind, and all kinds of neurons."""

from collections import OrderedDict

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn


class Unusual(nn.Module):
    """A 5x3 kernel, stride (2, 1), both poolings, its own repeat over T and mean at the end."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__()
        self.steps = steps
        self.conv1 = layer.Conv2d(1, 6, (5, 3), stride=(2, 1), padding=(2, 1))
        self.bn1 = layer.BatchNorm2d(6)
        self.lif1 = neuron.LIFNode(tau=2.0)
        self.pool = layer.AvgPool2d(2)
        self.conv2 = layer.Conv2d(6, 10, 3, padding=1, bias=False)
        self.bn2 = layer.BatchNorm2d(10)
        self.if2 = neuron.IFNode(v_threshold=0.7)
        self.most = layer.MaxPool2d(2)
        self.drop = layer.Dropout(0.5)
        self.flat = layer.Flatten()
        self.fc = layer.Linear(10 * 3 * 7, 10)
        self.lif3 = neuron.LIFNode(tau=4 / 3, decay_input=False)
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1)
        x = self.pool(self.lif1(self.bn1(self.conv1(x))))
        x = self.most(self.if2(self.bn2(self.conv2(x))))
        return self.lif3(self.fc(self.flat(self.drop(x)))).mean(0)


class StepLoop(nn.Module):
    """Single-step layers of plain torch, called T times in a loop."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.if1 = neuron.IFNode()
        self.pool = nn.AvgPool2d((2, 1))
        self.fc = nn.Linear(4 * 14 * 28, 10)
        self.lif2 = neuron.LIFNode(tau=2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(self)
        total = 0
        for _ in range(self.steps):
            spikes = self.pool(self.if1(self.conv(x)))
            total = total + self.lif2(self.fc(spikes.flatten(1)))
        return total / self.steps


class MergedTime(nn.Module):
    """The first layers once a sample, then time merged into the batch around stateless layers; returns all steps."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.lif1 = neuron.LIFNode(tau=2.0, step_mode="m")
        self.conv2 = nn.Conv2d(4, 3, 3, stride=2)
        self.if2 = neuron.IFNode(step_mode="m")
        self.fc = nn.Linear(3 * 13 * 13, 10)
        self.if3 = neuron.IFNode(step_mode="m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lif1(self.bn(self.conv(x)).unsqueeze(0).repeat(self.steps, 1, 1, 1, 1))
        x = self.if2(functional.seq_to_ann_forward(x, self.conv2)).flatten(2)
        steps, samples = x.shape[0], x.shape[1]
        return self.if3(self.fc(x.flatten(0, 1)).view(steps, samples, 10))


class _Frames(nn.Module):
    """Frames [N, C, H, W] at every step through `body`, [T, N, ...] -> [T, N, outputs], and the mean over time."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1)).mean(0)


def _conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, **options: int) -> nn.Sequential:
    conv = layer.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False, **options)
    return nn.Sequential(OrderedDict(conv=conv, norm=layer.BatchNorm2d(outputs)))


def _classify(features: int, classes: int = 5) -> list[nn.Module]:
    return [layer.Flatten(), layer.Linear(features, classes), neuron.LIFNode(2.0, v_threshold=0.25)]


class TdBlock(nn.Module):
    """Spikes in, spikes out; the shortcut, spikes or a projection of them, joins the current of the last neurons."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.one, self.lif1 = _conv_norm(inputs, outputs, 3, stride), neuron.LIFNode(tau=4 / 3)
        self.two, self.lif2 = _conv_norm(outputs, outputs), neuron.LIFNode(tau=4 / 3)
        self.down = _conv_norm(inputs, outputs, 1, stride) if stride > 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.two(self.lif1(self.one(x)))
        return self.lif2(inner + (x if self.down is None else self.down(x)))


class TdResidual(_Frames):
    """ResNet blocks of tdBN: currents are added. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        first = [_conv_norm(1, 4), neuron.LIFNode(tau=4 / 3)]
        self.body = nn.Sequential(*first, TdBlock(4, 4), TdBlock(4, 6, 2), layer.AvgPool2d(4), *_classify(6))
        functional.set_step_mode(self, "m")


class SewBlock(nn.Module):
    """Spikes in, sums of spikes out."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.one, self.if1 = _conv_norm(inputs, outputs, 3, stride), neuron.IFNode()
        self.two, self.if2 = _conv_norm(outputs, outputs), neuron.IFNode()
        if stride > 1:
            self.down = nn.Sequential(_conv_norm(inputs, outputs, 1, stride), neuron.IFNode())
        else:
            self.down = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.if2(self.two(self.if1(self.one(x)))) + self.down(x)


class SewResidual(_Frames):
    """SEW blocks with ADD: spikes are added. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        blocks = [SewBlock(4, 4), SewBlock(4, 6, 2), SewBlock(6, 6)]
        self.body = nn.Sequential(
            _conv_norm(1, 4), neuron.IFNode(), *blocks, layer.AdaptiveAvgPool2d((1, 1)), *_classify(6)
        )
        functional.set_step_mode(self, "m")


class MembraneBlock(nn.Module):
    """Currents in, currents out; the shortcut is the current itself, or its projection without neurons between."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.lif1, self.one = neuron.LIFNode(tau=2.0), _conv_norm(inputs, outputs, 3, stride)
        self.lif2, self.two = neuron.LIFNode(tau=2.0), _conv_norm(outputs, outputs)
        self.down = _conv_norm(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.lif2(self.one(self.lif1(x)))) + self.down(x)


class MembraneResidual(_Frames):
    """MS blocks: membrane shortcuts, which a projection continues. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        blocks = [MembraneBlock(4, 4), MembraneBlock(4, 6, 2), MembraneBlock(6, 6)]
        self.body = nn.Sequential(_conv_norm(1, 4), *blocks, neuron.LIFNode(tau=2.0), layer.AvgPool2d(4), *_classify(6))
        functional.set_step_mode(self, "m")


class Gather(nn.Module):
    """Some of the channels of a map in any layout."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.register_buffer("channels", torch.tensor(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.index_select(-3, self.channels)


class PreactivationBlock(nn.Module):
    """Normalisation, channel selection and neurons before each convolution; the shortcut is a current."""

    def __init__(self, channels: int, kept: list[int]) -> None:
        super().__init__()
        self.norm1, self.pick, self.lif1 = layer.BatchNorm2d(channels), Gather(kept), neuron.LIFNode(tau=2.0)
        self.conv1 = layer.Conv2d(len(kept), 5, 3, padding=1, bias=False)
        self.norm2, self.lif2 = layer.BatchNorm2d(5), neuron.LIFNode(tau=2.0)
        self.conv2 = layer.Conv2d(5, channels, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.lif1(self.pick(self.norm1(x)))
        return x + self.conv2(self.lif2(self.norm2(self.conv1(inner))))


class PreactivationResidual(_Frames):
    """Pre-activation blocks whose first convolutions read some channels only. Frames 2x8x8."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__(steps)
        blocks = [PreactivationBlock(6, [0, 2, 3, 5]), PreactivationBlock(6, [5, 1, 4])]
        end = [layer.BatchNorm2d(6), neuron.LIFNode(tau=2.0), layer.AvgPool2d(2), *_classify(6 * 16)]
        self.body = nn.Sequential(layer.Conv2d(2, 6, 3, padding=1), *blocks, *end)
        functional.set_step_mode(self, "m")


class Concatenating(nn.Module):
    """Dense connections: spikes and pooled spikes are concatenated, in the classifier flattened maps of two sizes.

    Frames 1x8x8.
    """

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.stem, self.if0 = _conv_norm(1, 4), neuron.IFNode()
        self.one, self.if1 = _conv_norm(4, 3), neuron.IFNode()
        self.two, self.if2 = _conv_norm(7, 4, groups=1), neuron.IFNode()
        self.mixed, self.if3 = layer.Conv2d(11, 11, 3, padding=1, groups=11), neuron.IFNode()
        self.most, self.pool = layer.MaxPool2d(2), layer.AvgPool2d(4)
        self.fc, self.if4 = layer.Linear(11 * 16 + 4 * 4, 5), neuron.IFNode()
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.if0(self.stem(x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1)))
        x = torch.cat([x, self.if1(self.one(x))], dim=2)
        y = self.if2(self.two(x))
        z = self.most(self.if3(self.mixed(torch.cat((x, y), -3))))
        return self.if4(self.fc(torch.cat([z.flatten(2), self.pool(y).flatten(2)], -1))).mean(0)


class SharedModule(nn.Module):
    """One convolution for two sources, single steps in a loop, with a residual addition. Frames 1x8x8."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.stem, self.if0 = nn.Conv2d(1, 4, 3, padding=1), neuron.IFNode()
        self.conv, self.if1, self.if2 = nn.Conv2d(4, 4, 3, padding=1), neuron.IFNode(), neuron.IFNode()
        self.fc, self.if3 = nn.Linear(4 * 16, 5), neuron.IFNode()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = 0.0
        for _ in range(self.steps):
            one = self.if0(self.stem(x))
            two = self.if1(self.conv(one))
            three = self.if2(self.conv(two) + one)
            pooled = nn.functional.avg_pool2d(three + two, 2)
            total = total + self.if3(self.fc(torch.flatten(pooled, 1)))
        return total / self.steps


class ParametricTau(_Frames):
    """Learned time constants. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        first, second = neuron.ParametricLIFNode(init_tau=3.0), neuron.ParametricLIFNode(2.0, decay_input=False)
        head = [layer.Flatten(), layer.Linear(4 * 16, 5), neuron.ParametricLIFNode(1.5, v_threshold=0.25)]
        self.body = nn.Sequential(_conv_norm(1, 4), first, layer.MaxPool2d(2), _conv_norm(4, 4), second, *head)
        functional.set_step_mode(self, "m")


class Cuba(_Frames):
    """Neurons with a current of their own, as lava-dl trains them: no biases. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        # Imported here, for it imports lava-dl where that is installed.
        from spikingjelly.activation_based.lava_exchange import CubaLIFNode

        self.body = nn.Sequential(
            layer.Conv2d(1, 4, 3, 2, 1, bias=False),
            CubaLIFNode(0.5, 0.25),
            layer.Flatten(),
            layer.Linear(4 * 16, 12, bias=False),
            CubaLIFNode(0.25, 0.5),
            layer.Linear(12, 5, bias=False),
            CubaLIFNode(1.0, 0.125),
        )
        functional.set_step_mode(self, "m")


class SoftReset(_Frames):
    """Neurons that subtract their threshold. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        self.body = nn.Sequential(
            _conv_norm(1, 4),
            neuron.LIFNode(tau=2.0, v_reset=None),
            layer.AvgPool2d(2),
            _conv_norm(4, 4),
            neuron.IFNode(v_threshold=0.8, v_reset=None),
            layer.Flatten(),
            layer.Linear(4 * 16, 5),
            neuron.IFNode(v_reset=None),
        )
        functional.set_step_mode(self, "m")


class DepthwiseSeparable(_Frames):
    """Depthwise, pointwise, grouped, dilated and non-square convolutions with bias. Frames 2x8x8."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__(steps)
        self.body = nn.Sequential(
            layer.Conv2d(2, 6, (3, 5), (1, 2), (1, 2)),
            neuron.IFNode(),
            layer.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
            layer.BatchNorm2d(6),
            layer.Conv2d(6, 8, 1),
            neuron.IFNode(),
            layer.Conv2d(8, 8, (3, 1), padding=(2, 0), dilation=(2, 1), groups=4),
            layer.BatchNorm2d(8),
            neuron.IFNode(),
            layer.Conv2d(8, 12, 3, (2, 1), 1, groups=2),
            neuron.IFNode(),
            layer.Flatten(),
            layer.Linear(12 * 4 * 4, 5),
            neuron.IFNode(),
        )
        functional.set_step_mode(self, "m")


class GlobalPool(nn.Module):
    """The mean over the map, as an operation; normalised features. Frames 1x8x8."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.stem, self.if1 = _conv_norm(1, 6), neuron.IFNode()
        self.fc1, self.norm, self.if2 = layer.Linear(6, 8), layer.BatchNorm1d(8), neuron.IFNode()
        self.fc2, self.if3 = layer.Linear(8, 5), neuron.IFNode()
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.if1(self.stem(x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1))).mean((-2, -1))
        return self.if3(self.fc2(self.if2(self.norm(self.fc1(x))))).mean(0)


class MembraneReadout(_Frames):
    """A last layer without neurons. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        self.body = nn.Sequential(
            _conv_norm(1, 4), neuron.LIFNode(tau=2.0), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(4 * 16, 5)
        )
        functional.set_step_mode(self, "m")


class Voting(_Frames):
    """Three neurons vote for each class. Frames 1x8x8."""

    def __init__(self, steps: int = 4) -> None:
        super().__init__(steps)
        self.body = nn.Sequential(
            _conv_norm(1, 4), neuron.IFNode(), layer.MaxPool2d(2), *_classify(4 * 16, 15), layer.VotingLayer(3)
        )
        functional.set_step_mode(self, "m")


class SequenceInput(nn.Module):
    """A frame for each step, [T, N, 2, 8, 8], in whatever number; a loop over single steps with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.lif1 = layer.Conv2d(2, 4, 3, padding=1), neuron.LIFNode(tau=2.0)
        self.conv, self.lif2 = layer.Conv2d(4, 4, 3, padding=1), neuron.LIFNode(tau=2.0)
        self.fc, self.lif3 = layer.Linear(4 * 16, 5), neuron.LIFNode(tau=2.0, v_threshold=0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = []
        for step in range(x.shape[0]):
            spikes = self.lif1(self.stem(x[step]))
            spikes = nn.functional.max_pool2d(self.lif2(self.conv(spikes) + spikes), 2)
            outputs.append(self.lif3(self.fc(spikes.flatten(1))))
        return torch.stack(outputs).sum(0)


GREY, TWO = (1, 8, 8), (2, 8, 8)
SHAPES = {
    "TdResidual": GREY,
    "SewResidual": GREY,
    "MembraneResidual": GREY,
    "PreactivationResidual": TWO,
    "Concatenating": GREY,
    "SharedModule": GREY,
    "ParametricTau": GREY,
    "Cuba": GREY,
    "SoftReset": GREY,
    "DepthwiseSeparable": TWO,
    "GlobalPool": GREY,
    "MembraneReadout": GREY,
    "Voting": GREY,
}
"""Of the frames of each network of one kind that is deployed."""


def branching_networks() -> dict[str, tuple[nn.Module, tuple[int, int, int]]]:
    """Each small network by its name, with the shape of its frames; all of them but SequenceInput take frames."""
    kinds = (TdResidual, SewResidual, MembraneResidual, Concatenating, SharedModule, ParametricTau, Cuba, SoftReset)
    kinds += (GlobalPool, MembraneReadout, Voting)
    networks = {kind.__name__: (kind(), (1, 8, 8)) for kind in kinds}
    coloured = (PreactivationResidual, DepthwiseSeparable, SequenceInput)
    return networks | {kind.__name__: (kind(), (2, 8, 8)) for kind in coloured}


def stir(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every normalisation statistics and scales of its own, and lively weights; double precision."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.data = low + (high - low) * torch.rand(tensor.shape, generator=generator)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            uniform(module.running_mean, -0.3, 0.3)
            uniform(module.running_var, 0.5, 2.0)
            uniform(module.weight, 0.5, 2.0)
            uniform(module.bias, -0.2, 0.6)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spread = 2.0 / module.weight[0].numel() ** 0.5
            uniform(module.weight, -spread, spread)
            if module.bias is not None:
                uniform(module.bias, 0.0, 0.4)
    return network.double().eval()
