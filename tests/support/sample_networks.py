"""Small networks that bring their own ways of going through time."""

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


def stir(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every normalisation statistics and scales of its own, and lively weights; double precision."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.data = low + (high - low) * torch.rand(tensor.shape, generator=generator)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            uniform(module.running_mean, -0.3, 0.3)
            uniform(module.running_var, 0.5, 2.0)
            uniform(module.weight, 0.5, 2.0)
            uniform(module.bias, -0.2, 0.6)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            spread = 2.0 / module.weight[0].numel() ** 0.5
            uniform(module.weight, -spread, spread)
            if module.bias is not None:
                uniform(module.bias, 0.0, 0.4)
    return network.double().eval()
