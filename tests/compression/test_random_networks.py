"""On random networks, branching in every way, removal equals masking, and costs are predicted exactly."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from masking import mask_channels
from sample_networks import stir
from spikingjelly.activation_based import functional, neuron
from torch import nn

from neuroprune.compression.channels import Residual, channel_groups
from neuroprune.compression.cost import count_macs, synapse_work
from neuroprune.compression.cost_model import cost_model
from neuroprune.compression.surgery import removable, remove_channels
from neuroprune.graph.trace import trace
from neuroprune.selection import ChannelSelection

MODES: tuple[Residual, ...] = get_args(Residual)
STEPS, SIZE = 3, 5


class Random(nn.Module):
    """Frames [N, 2, 5, 5] through layers that read random earlier ones; each that nothing reads has a classifier."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.layers = nn.ModuleDict()
        self.plan: list[tuple[str, str, tuple[str, ...]]] = []
        self.channels, self.fires = {"frame": 2}, {"frame": False}
        self.spikes = [self._fire(self._conv("frame", 4 * int(self.rng.integers(1, 3))))]
        for _ in range(16):
            name = str(self.rng.choice(list(self.channels)[-5:]))
            getattr(self, f"_{self.rng.choice(GROWTH)}")(name if name != "frame" else self.spikes[0])
        read = {source for _, _, sources in self.plan for source in sources}
        ends = [name if self.fires[name] else self._fire(name) for name in list(self.channels) if name not in read]
        self.heads = nn.ModuleDict({name: nn.Linear(self.channels[name] * SIZE**2, 4) for name in ends})
        self.output = neuron.IFNode()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        total = 0.0
        for _ in range(STEPS):
            made = {"frame": frames}
            for name, kind, sources in self.plan:
                inputs = [made[source] for source in sources]
                made[name] = OPERATIONS[kind](inputs) if kind in OPERATIONS else self.layers[name](inputs[0])
            head, *others = (self.heads[name](made[name].flatten(1)) for name in self.heads)
            for other in others:
                head = head + other
            total = total + self.output(head)
        return total / STEPS

    def _append(self, kind: str, sources: tuple[str, ...], channels: int, layer: nn.Module | None = None) -> str:
        name = f"{kind}{len(self.plan)}"
        self.plan.append((name, kind, sources))
        self.channels[name] = channels
        self.fires[name] = kind == "fire" or (kind in ("add", "cat") and all(self.fires[each] for each in sources))
        if layer is not None:
            self.layers[name] = layer
        return name

    def _conv(self, source: str, outputs: int = 0, groups: int = 1) -> str:
        kernel = 3 if self.fires[source] or source == "frame" else 1
        outputs = outputs or int(self.rng.choice([4, 4, 8]))
        made = nn.Conv2d(self.channels[source], outputs, kernel, padding=kernel // 2, groups=groups)
        return self._append("conv", (source,), outputs, made)

    def _each(self, source: str) -> str:
        source = source if self.fires[source] else self._fire(source)
        return self._conv(source, self.channels[source], self.channels[source])

    def _grouped(self, source: str) -> str:
        source = source if self.fires[source] else self._fire(source)
        return self._conv(source, self.channels[source], 2) if self.channels[source] % 2 == 0 else source

    def _norm(self, source: str) -> str:
        return self._append("norm", (source,), self.channels[source], nn.BatchNorm2d(self.channels[source]))

    def _fire(self, source: str) -> str:
        made = neuron.LIFNode(2.0, v_threshold=0.4) if self.rng.random() < 0.5 else neuron.IFNode(v_reset=None)
        return self._append("fire", (source,), self.channels[source], made)

    def _scale(self, source: str) -> str:
        return self._append("scale", (source,), self.channels[source])

    def _select(self, source: str) -> str:
        width = self.channels[source]
        made = ChannelSelection(width)
        if width > 2 and self.rng.random() < 0.4:
            made.channels = torch.tensor(sorted(self.rng.choice(width, width // 2, replace=False).tolist()))
        return self._append("select", (self._norm(source),), len(made.channels), made)

    def _add(self, source: str) -> str:
        alike = [name for name, width in self.channels.items() if width == self.channels[source] and name != "frame"]
        return self._append("add", (source, str(self.rng.choice(alike))), self.channels[source])

    def _cat(self, source: str) -> str:
        other = str(self.rng.choice(list(self.channels)[1:]))
        return self._append("cat", (source, other), self.channels[source] + self.channels[other])


WEIGHTS = {"conv": 6, "fire": 4, "norm": 3, "add": 7, "each": 2, "select": 4, "scale": 1, "grouped": 1, "cat": 1}
GROWTH = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
"""What is appended next, the likelier the more often it stands here."""

OPERATIONS: dict[str, Any] = {
    "add": lambda inputs: inputs[0] + inputs[1],
    "cat": lambda inputs: torch.cat(inputs, 1),
    "scale": lambda inputs: 0.8 * inputs[0],
}


def run(network: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    functional.reset_net(network)
    with torch.no_grad():
        return network(frames)


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("residual", MODES)
def test_removal_equals_masking(seed: int, residual: Residual) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = stir(Random(seed), seed)
        frames = torch.randn(3, 2, SIZE, SIZE, dtype=torch.float64)
    graph = trace(network, frames)
    groups = removable(network, channel_groups(graph, residual))
    generator = np.random.default_rng(seed)
    kept = {group.name: generator.permutation(group.channels) < (group.channels + 1) // 2 for group in groups}
    slim = remove_channels(network, groups, kept)
    masked = run(mask_channels(network, groups, kept), frames)
    torch.testing.assert_close(run(slim, frames), masked, rtol=1e-12, atol=1e-12)
    if groups:
        shares = cost_model(network, graph, groups).shares(np.concatenate(list(kept.values()))[None])
        numbers = [sum(parameter.numel() for parameter in each.parameters()) for each in (slim, network)]
        macs = [count_macs(synapse_work(each)) for each in (trace(slim, frames), graph)]
        assert (shares["params"][0], shares["flops"][0]) == (numbers[0] / numbers[1], macs[0] / macs[1])


def test_groups_of_every_kind_are_among_those_of_random_networks() -> None:
    graphs = [trace(Random(seed), torch.randn(1, 2, SIZE, SIZE)) for seed in range(24)]
    gathered, coupled = ([group for graph in graphs for group in channel_groups(graph, mode)] for mode in MODES)
    assert any(len(group.producers) > 1 for group in coupled)
    assert any(group.selections for group in coupled)
    assert any(group.gathers for group in coupled) and any(group.gathers for group in gathered)
