"""`neuroprune compress`: what it offers, what contradicts itself, and what becomes of zeros."""

import re
from pathlib import Path

import pytest
from command_line import Line, ended, interrupted

from neuroprune.choices import names
from neuroprune.compression.catalog import KINDS, methods_of
from neuroprune.compression.record import load_compress_record
from neuroprune.report.schema import load_report

RECIPE = """
title: A network without pools, so that each weight is one on the chip
data: digits
steps: 2
layers:
  - {conv: 8}
  - {conv: 12, stride: 2}
training: {epochs: 3, batch: 256, lr: 0.02, l1: 1.0e-4}
fine_tuning: {epochs: 1, lr: 0.01}
"""
CLASS = """
from torch import nn
from spikingjelly.activation_based import neuron

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3), neuron.IFNode(), nn.Flatten(), nn.Linear(4 * 36, 10), neuron.IFNode()
        )
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a recipe and one of a class without BatchNorm, and an interrupted compression of the first."""
    folder = tmp_path_factory.mktemp("made")
    runs = ("--device", "cpu", "--runs", str(folder / "runs"))
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "own.py").write_text(CLASS)
    assert ended("train", "--model", str(folder / "tiny.yaml"), *runs) == 0
    assert ended("train", "--model", f"{folder / 'own.py'}:Net", "--data", "digits", "--epochs", "1", *runs) == 0
    sparse = ("--unstructured", "--sparsity", "0.9", "--method", "gmp", "--target", "loihi-sim-relay", "--epochs", "2")
    interrupted("compress", str(folder / "runs" / "0001-train-digits"), *sparse, *runs)
    return folder


@pytest.fixture
def line(made: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    capsys.readouterr()
    return Line(made / "runs", capsys)


def refusal(line: Line, *arguments: str) -> str:
    """The one sentence with which a command ends that leaves nothing."""
    before = {path: path.stat().st_mtime_ns for path in line.runs.rglob("*")}
    answer = line("compress", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert {path: path.stat().st_mtime_ns for path in line.runs.rglob("*")} == before
    sentence = answer.err.splitlines()[-1]
    assert sentence.startswith("Error: ") and answer.err.count("Error") == 1
    return sentence.removeprefix("Error: ").removesuffix(" (see `neuroprune compress --help`)")


def test_help_names_every_method_under_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("compress", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for kind in KINDS:
        assert f"{kind.name}: {', '.join(names(methods_of(kind.name)))}" in shown


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            "--structured --sparsity 0.9",
            "--structured and --sparsity contradict each other, since --sparsity belongs to --unstructured: give "
            "--flops, --params, --synops, --cores, --kib or --step-time",
        ),
        (
            "--unstructured --flops 0.5",
            "--unstructured and --flops contradict each other, since --flops belongs to --structured: give --sparsity",
        ),
        (
            "--unstructured --step-time 80",
            "--unstructured and --step-time contradict each other, since --step-time belongs to --structured: give "
            "--sparsity",
        ),
        (
            "--sparsity 0.9 --step-time 80",
            "--sparsity and --step-time contradict each other, since --sparsity belongs to --unstructured and "
            "--step-time to --structured: give one of the two",
        ),
        ("--step-time 0", "step-time is 0 us, but a step takes more than 0: give a number such as 80"),
        (
            "--step-time 80 --target speck",
            "the time of a step is not known of speck: its cost models are none, and one with synop_time "
            "of all encodings or active_neuron_time is needed, such as davies-2018 of loihi1; take such "
            "a chip, or name a model in its YAML",
        ),
        (
            "--sparsity 0.9 --synops 0.5",
            "--sparsity and --synops contradict each other, since --sparsity belongs to --unstructured and --synops to "
            "--structured: give one of the two",
        ),
        (
            "--unstructured --structured",
            "--structured and --unstructured contradict each other: give one of the two",
        ),
        (
            "--method gmp --flops 0.5",
            "method gmp prunes single weights, not channels: choose one of criticality, uniform, slimming, greg1, "
            "greg2, sca, or give a sparsity",
        ),
        (
            "--method sca --unstructured",
            "method sca prunes channels, not single weights: choose one of criticality, uniform, gmp, grad, random, "
            "granet, lth, early-bird, grad-r, deep-r, or give a share that remains, such as flops",
        ),
        (
            "--sparsity 0.9 --layer-floor 0.2",
            "a sparsity of 90.0% leaves 10.0% of the weights, less than the 20.0% that each layer is to keep: lower "
            "one of the two",
        ),
        (
            "--residual coupled",
            "SpikingNetwork has no residual stream, since nothing is added to anything in it, so there is nothing to "
            "couple: leave residual = coupled out",
        ),
        (
            "--unstructured --epochs 0",
            "method criticality prunes while it trains, but there are 0 epochs of training: give at least 1",
        ),
        (
            "--prune-epochs 3",
            "method criticality chooses the channels at once, without 3 epochs of pruning: leave prune_epochs out",
        ),
        ("--epochs 0 --seed 3", "--seed cannot apply here, since --epochs 0 trains nothing: leave it out"),
        ("--epochs 0 --lr 0.1", "--lr cannot apply here, since --epochs 0 trains nothing: leave it out"),
        ("--start initial", "start is for pruning single weights, not channels: leave it out, or give a sparsity"),
        (
            "--sparsity 0.99999",
            "a sparsity of 0.99999 leaves none of the 2856 weights that can be pruned: ask for at most 0.999649",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_sentence(options: str, sentence: str, line: Line) -> None:
    assert refusal(line, "0001-train-digits", *options.split(), "--device", "cpu") == sentence


def test_a_network_without_batchnorm_cannot_be_slimmed(line: Line, made: Path) -> None:
    own = ("0002-train-digits", "--model", f"{made / 'own.py'}:Net")
    assert refusal(line, *own, "--method", "slimming") == (
        "Net has no BatchNorm with a scale behind the layers whose channels could go, and method slimming ranks by "
        "|gamma|: choose the score criticality or l1, or add BatchNorm2d and train again"
    )


def test_a_step_is_about_as_long_as_was_asked_when_the_network_is_deployed_as_told(line: Line, tmp_path: Path) -> None:
    """Within a tenth: of other samples than those it was counted on, and as it fires without the channels that went."""
    pruned, deployed = tmp_path / "pruned", tmp_path / "deployed"
    asked = ("--structured", "--step-time", "1.5", "--cores", "8", "--epochs", "0", "--device", "cpu")
    answer = line("compress", "0001-train-digits", *asked, "--out", str(pruned))
    assert answer.code == 0, answer.err
    shown = [[cell.strip() for cell in row.split("│")] for row in answer.out.splitlines()]
    cores, limit = load_compress_record(pruned).limits
    assert cores.holds and cores.counted == cores.reached
    assert limit.counted is not None and limit.counted <= 1.5
    assert [row[3] for row in shown if "us a step" in row[1:2]] == [f"{limit.reached:.1f}"]
    assert [row[3] for row in shown if "as dense fires" in row[1:2]] == [f"{limit.counted:.1f}"]
    told = "--optimize time --cores 8"
    assert answer.err.splitlines()[-1] == f"next: neuroprune deploy {pruned} --target loihi-sim {told}"
    assert f"a step takes so long by deploy {told}" in answer.out
    alike = ("--effort", "layers", "--place", "curve", "--lava-samples", "0", "--out", str(deployed))
    assert line("deploy", str(pruned), *told.split(), *alike).code == 0
    costs = load_report(deployed).costs[0]
    assert costs.model == "davies-2018" and costs.step is not None
    assert costs.step.total_ns / 1000 == pytest.approx(limit.counted, rel=0.1)


def test_a_network_is_not_imported_for_a_chip_that_tells_no_time(line: Line, made: Path) -> None:
    own = ("--model", f"{made / 'own.py'}:Net", "--data", "digits", "--score", "l1")
    assert refusal(line, *own, "--step-time", "80", "--target", "speck").startswith(
        "the time of a step is not known of speck: its cost models are none"
    )


@pytest.mark.parametrize(
    ("options", "binding"),
    [
        ("--flops 0.5", "--flops"),
        ("--flops 0.05 --layer-floor 0.5", "--flops"),
        ("--params 0.4 --flops 0.9 --layer-floor 0.8", "--params"),
    ],
)
def test_a_target_out_of_reach_names_the_nearest_which_can_be_reached(
    options: str, binding: str, line: Line, tmp_path: Path
) -> None:
    arguments = ("0001-train-digits", "--epochs", "0", "--device", "cpu", *options.split())
    found = re.fullmatch(
        r"removing whole channels of this network.* cannot leave .*: the nearest share it can reach is .*, more than "
        r"1% away; ask for (0\.\d+) instead",
        refusal(line, *arguments),
    )
    assert found
    answer = line("compress", *arguments, binding, found[1], "--out", str(tmp_path / "out"))
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--method grad", "this compression was started with method = gmp, but resuming asks for grad: give the same"),
        ("--structured", "this compression was started with kind = unstructured, but resuming asks for structured: gi"),
        ("--sparsity 0.8", "this compression was started with sparsity = 0.9, but resuming asks for 0.8: give the "),
        ("--target loihi-sim", "this compression was started for loihi-sim-relay, but resuming asks for loihi-sim: gi"),
        ("--epochs 4", "this compression was started with epochs = 2, but resuming asks for 4: give the same settings"),
    ],
)
def test_a_compression_is_resumed_with_the_settings_that_it_was_started_with(
    options: str, sentence: str, line: Line
) -> None:
    assert refusal(line, "--resume", *options.split(), "--device", "cpu").startswith(sentence)


@pytest.mark.parametrize("tuning", [(), ("--qat-epochs", "1")])
def test_zeros_of_single_weights_are_zeros_on_the_chip(tuning: tuple[str, ...], line: Line, tmp_path: Path) -> None:
    sparse, deployed = tmp_path / "sparse", tmp_path / "deployed"
    target = ("--unstructured", "--sparsity", "0.8", "--prune-epochs", "2", "--epochs", "2", "--device", "cpu")
    assert line("compress", "0001-train-digits", *target, "--out", str(sparse)).code == 0
    samples = ("--samples", "4", "--lava-samples", "0", "--device", "cpu")
    assert line("deploy", str(sparse), *samples, *tuning, "--out", str(deployed)).code == 0
    record, report = load_compress_record(sparse), load_report(deployed)
    for pruned, layer in zip(record.layers, report.layers, strict=True):
        share = layer.zero_weights_share
        assert share is not None
        assert 0 <= share - (1 - pruned.after / pruned.before) < 0.05, layer.name
