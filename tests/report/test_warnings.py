"""A figure that looks like a result and is none is pointed out; what is uncertain is shown with its interval."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from spikingjelly.activation_based import neuron
from torch import nn

import neuroprune
from neuroprune.intervals import difference_interval, share_interval
from neuroprune.report.schema import AccuracyIntervals, AccuracyLadder, Report
from neuroprune.report.warnings import warnings_of


@pytest.mark.parametrize(("correct", "samples"), [(0, 1), (1, 1), (0, 360), (17, 360), (351, 360), (9000, 10000)])
def test_the_interval_of_a_share_is_wilsons(correct: int, samples: int) -> None:
    expected = stats.binomtest(correct, samples).proportion_ci(method="wilson")
    assert share_interval(correct / samples, samples) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_a_difference_holds_its_level() -> None:
    """Of pairs drawn with a known difference about 95 % of the intervals hold it; a tie is a tie."""
    random = np.random.default_rng(0)
    for gains, losses in ((0.02, 0.05), (0.1, 0.1), (0.005, 0.03)):
        drawn = random.multinomial(400, [gains, losses, 1 - gains - losses], 4000)
        ends = np.array([difference_interval(gained, lost, 400) for gained, lost, _ in drawn])
        inside = np.mean((ends[:, 0] <= gains - losses) & (gains - losses <= ends[:, 1]))
        assert 0.93 <= inside <= 0.99
    low, high = difference_interval(0, 0, 360)
    assert low < 0 < high == -low


def ladder(share: float, samples: int, most_frequent: float | None = 0.1) -> AccuracyLadder:
    intervals = AccuracyIntervals(bit_accurate=share_interval(share, samples))
    return AccuracyLadder(bit_accurate=share, intervals=intervals, most_frequent=most_frequent)


def test_layers_that_never_fire_and_accuracies_at_chance_are_named(report_of: Callable[..., Report]) -> None:
    layers = report_of(2).layers
    silent = layers[1].model_copy(update={"spikes_per_neuron_step": 0.0})
    relay = silent.model_copy(update={"relay": True, "name": "relay"})
    assert warnings_of(layers, ladder(0.97, 360), 360) == ()
    assert warnings_of((layers[0], silent, relay), AccuracyLadder(), 360) == (
        f"layer {silent.name} never fires on any of the 360 samples, so what follows it reads biases alone: lower its "
        "threshold, or train the network longer",
    )
    assert warnings_of(layers, ladder(0.125, 360), 360) == (
        "the accuracy of 12.50% (9.5% to 16.3%) is not above the 10.00% of always answering the most frequent class: "
        "train the network, or prune and quantise it less",
    )
    assert warnings_of(layers, ladder(0.125, 10000), 10000) == ()
    assert warnings_of(layers, ladder(0.05, 10000, None), 10000) == ()


class Net(nn.Module):
    """Four steps of a layer that fires or not, read by its spikes or by the voltage of a linear layer."""

    def __init__(self, threshold: float, spiking: bool) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, 2, 1, bias=False), nn.Linear(64, 10, bias=False)
        self.inner, self.outer = neuron.LIFNode(v_threshold=threshold), neuron.IFNode() if spiking else nn.Identity()

    def forward(self, x):
        return sum(self.outer(self.fc(self.inner(self.conv(x)).flatten(1))) for _ in range(4)) / 4


@pytest.mark.parametrize(
    ("threshold", "spiking", "silent"),
    [(50.0, False, ["inner"]), (50.0, True, ["inner", "outer"]), (0.01, False, [])],
)
def test_a_deployment_points_out_silence_but_not_of_a_voltage_that_is_read(
    threshold: float, spiking: bool, silent: list[str]
) -> None:
    data = neuroprune.load_dataset("digits")
    frames = neuroprune.frames_of(data.test.images[:40], data.coding)
    report = neuroprune.deploy(
        Net(threshold, spiking), frames, frames=frames, labels=data.test.labels[:40],
        lava=neuroprune.LavaSettings(samples=0),
    ).report  # fmt: skip
    assert [text.split()[1] for text in report.warnings if text.startswith("layer ")] == silent
    assert any(text.startswith("the accuracy of ") for text in report.warnings)
    change, accuracy = report.accuracy.change, report.accuracy
    assert change is not None and accuracy.float is not None and accuracy.bit_accurate is not None
    assert math.isclose(change.gained - change.lost, 40 * (accuracy.bit_accurate - accuracy.float), abs_tol=1e-9)
    assert accuracy.intervals.float == pytest.approx(share_interval(accuracy.float, 40))
