"""A chip family, a format, a data set and an observer of one's own, through `import neuroprune` alone."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_neuron
import torch
import yaml
from own_network import FRAMES, NEURONS, NO_LAVA, Network, network
from own_objects import STRIPES, NeuronsOnly, Toy, write_stripes
from rich.console import Console
from spikingjelly.activation_based import neuron

import neuroprune
from tests.support.reports import measured


def test_objects_of_ones_own_need_nothing_but_the_public_api() -> None:
    for path in (
        *sorted(Path(__file__).parent.glob("test_own_*.py")),
        *sorted(Path(own_neuron.__file__).parent.glob("own_*.py")),
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("neuroprune.") for name in names)


def test_a_chip_of_ones_own_in_python_and_in_yaml_is_deployed_to_and_shown(tmp_path: Path) -> None:
    rules = replace(neuroprune.load_chip("loihi-sim").rules, chip="toy")
    chip = neuroprune.Chip("toy", "cores of a hundred neurons", 2, (2, 1), 0, rules, NeuronsOnly(100))
    numbers = {key: value for key, value in vars(rules).items() if key != "chip"}
    numbers |= {"cores_per_chip": 2, "mesh": (2, 1), "synaptic_delay_max": 0, "neurons_per_core": 100}
    units = {"cores_per_chip": "cores", "mesh": "cores", "synaptic_delay_max": "steps", "neurons_per_core": "neurons"}
    facts = {
        key: {
            "value": list(value) if isinstance(value, tuple) else value,
            "unit": units.get(key, "bits"),
            "source": "this test",
            "grade": "assumed",
        }
        for key, value in numbers.items()
    }
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump({"title": chip.title, "family": NeuronsOnly.name, **facts}))
    read = neuroprune.load_chip(str(path), families=(*neuroprune.FAMILIES, NeuronsOnly))
    done = [
        neuroprune.deploy(network().float(), FRAMES, chip=each, neurons=NEURONS, lava=NO_LAVA) for each in (chip, read)
    ]
    assert measured(done[0].report) == measured(done[1].report)
    report = done[0].report
    assert (report.target.family, [each.name for each in report.target.resources]) == ("neurons-only", ["neurons"])
    assert report.totals.neurons == sum(core.resources[0].used for core in report.cores) == 288 + 72 + 8 + 6 + 2
    assert (report.totals.cores, report.totals.chips) == (4, 2)
    console = Console(width=90)
    with console.capture() as capture:
        console.print(neuroprune.render(report, 90))
    assert "load      neurons 94%" in capture.get()
    assert not any(word in capture.get() for word in ("axons", "memory"))


def test_a_format_of_ones_own_is_written_read_back_and_deployed(tmp_path: Path) -> None:
    module = Network(first=neuron.IFNode()).eval()
    module.body[9], module.body[11] = neuron.IFNode(0.75, step_mode="m"), neuron.IFNode(0.5, step_mode="m")
    formats, path = (*neuroprune.exchange_formats(), Toy()), tmp_path / "program.toy"
    done = neuroprune.deploy(module, FRAMES, lava=NO_LAVA, folder=tmp_path, formats=formats)
    assert path.exists()
    remarks = [(each.file, each.text) for each in done.report.exchange_remarks]
    assert ("program.toy", "what limited the scales is not kept") in remarks
    read = neuroprune.read_program(path, neuroprune.load_chip("loihi-sim").rules, formats=formats)
    assert read.remarks == ("what limited the scales is unknown",)
    frames, _ = neuroprune.quantize_input(read.program.input, FRAMES)
    for ours, theirs in zip(
        neuroprune.record(done.program, frames).layers, neuroprune.record(read.program, frames).layers, strict=True
    ):
        np.testing.assert_array_equal(ours.spikes, theirs.spikes)
        np.testing.assert_array_equal(ours.voltages, theirs.voltages)
    again = neuroprune.deploy_program(path, FRAMES, formats=formats, lava=NO_LAVA)
    np.testing.assert_array_equal(again.trace.outputs, done.trace.outputs)
    assert [(each.file, each.text) for each in again.report.exchange_remarks] == [("program.toy", read.remarks[0])]
    assert neuroprune.write_program(neuroprune.Programs(read.program), tmp_path / "copy.toy", formats) != ()
    assert (tmp_path / "copy.toy").read_bytes() == path.read_bytes()


class Watch(neuroprune.Observer):
    """Counts the steps."""

    def __init__(self) -> None:
        self.steps = 0

    def after_step(self, step: neuroprune.Step) -> None:
        self.steps += 1


def test_all_of_ones_own_from_data_to_the_chip(tmp_path: Path) -> None:
    """A data set, an observer, neurons, a chip and a format of one's own down the whole line."""
    write_stripes(tmp_path)
    data, watch = neuroprune.load_dataset(STRIPES, tmp_path), Watch()
    torch.manual_seed(0)
    settings = neuroprune.TrainSettings(epochs=1, batch=20, lr=0.02, device="cpu")
    trained = neuroprune.train(Network(), data, settings, observers=[watch]).module
    assert watch.steps == 4
    slim = neuroprune.compress(trained, data, neuroprune.CompressSettings(0.58, regeneration=0.5), neurons=NEURONS)
    assert slim.cut.flops < slim.dense.flops
    rules = neuroprune.load_chip("loihi-sim").rules
    chip = neuroprune.Chip("toy", "cores of fifty neurons", 4, (2, 2), 0, rules, NeuronsOnly(50))
    calibration, frames = (neuroprune.frames_of(each.images, data.coding) for each in (data.train, data.test))
    done = neuroprune.deploy(
        slim.module,
        calibration,
        chip,
        frames,
        data.test.labels,
        data=data.name,
        lava=NO_LAVA,
        folder=tmp_path / "out",
        neurons=NEURONS,
        formats=(Toy(),),
    )
    assert (done.report.data, done.report.samples) == ("stripes", 20)
    assert done.report.accuracy.float is not None and done.report.accuracy.bit_accurate is not None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json",
        "report.html",
        "cores.csv",
        "layers.csv",
    }
    assert {each.file for each in done.report.exchange_remarks} == {"program.toy"}
