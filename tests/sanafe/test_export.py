"""What is written for SANA-FE, and the sentences of what cannot be."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import Line
from hypothesis import given
from mapped_example import mapped_program
from own_neuron import IntFloorNeuron
from programs import dense, program_of
from synapse_oracle import convolutions, enumerate_synapses

from neuroprune.chips.load import load_chip
from neuroprune.chips.types import Tile, volume
from neuroprune.errors import InputError
from neuroprune.pipeline import deploy
from neuroprune.program.types import IntLayer
from neuroprune.report.schema import load_report
from neuroprune.sanafe.export import ARCHITECTURE_FILE, MOST_SYNAPSES, NETWORK_FILE, check_sanafe, write_sanafe
from neuroprune.sanafe.synapses import every_synapse

LOIHI = load_chip("loihi-sim")
ONES = np.full((4, 6), 2)


@given(layer=convolutions())
def test_every_synapse_of_a_convolution_is_there_once(layer: IntLayer) -> None:
    (connection,) = layer.connections
    reads, fills = volume(connection.in_shape), volume(layer.shape)
    expected = sorted(
        (int(np.ravel_multi_index(source, reads)), int(np.ravel_multi_index(target, fills)), weight)
        for source, target, weight in enumerate_synapses(connection, Tile("l", (0, 0, 0), fills))
    )
    assert sorted(zip(*(each.tolist() for each in every_synapse(connection, layer)), strict=True)) == expected


def test_the_network_has_each_neuron_on_its_core_with_its_threshold_and_decays(tmp_path: Path) -> None:
    mapped = mapped_program()
    remarks = write_sanafe(mapped.program, mapped.mapping, mapped.chip, mapped.frames[0], tmp_path)
    text = (tmp_path / NETWORK_FILE).read_text(encoding="utf-8")
    written = yaml.safe_load(re.sub(r"(?s)  edges:\n.*\nmappings:", "mappings:", text))  # parsing each takes long
    groups = {group["name"]: group for group in written["network"]["groups"]}
    soma = groups["layer2"]["attributes"][-1]["soma"]
    assert soma == {"threshold": 150, "input_decay": 0.0, "leak_decay": 0.75, "reset_mode": "hard"}
    on_cores: dict[str, int] = {}
    for ((address, (attribute,)),) in ((each.items()) for each in written["mappings"]):
        group, _, numbers = address.partition(".")
        if group.startswith("layer"):
            first, last = map(int, numbers.split(".."))
            on_cores[attribute["core"]] = on_cores.get(attribute["core"], 0) + last - first + 1
    assert sorted(on_cores.values()) == sorted(core.neurons for core in mapped.mapping.cores)
    assert len(on_cores) > 1
    chip = yaml.safe_load((tmp_path / ARCHITECTURE_FILE).read_text(encoding="utf-8"))["architecture"]
    assert (chip["attributes"]["width"], chip["attributes"]["height"]) == (8 + 1, 4)
    assert [tile["name"] for tile in chip["tile"]] == ["tile[0..31]", "host"]
    assert remarks[0].startswith("SANA-FE runs the first sample in 8 steps, with the costs of sana-fe-2.2")
    assert "SynOps that the chip does not do" in remarks[1]


def test_u_that_is_not_rounded_and_encodings_that_differ_are_said(tmp_path: Path) -> None:
    mapped = mapped_program(decay_u=2047)
    core = mapped.mapping.cores[0]
    first = replace(core.tiles[0], encodings=("dense", "sparse"))
    mapping = replace(mapped.mapping, cores=(replace(core, tiles=(first, *core.tiles[1:])), *mapped.mapping.cores[1:]))
    remarks = write_sanafe(mapped.program, mapped.mapping, mapped.chip, mapped.frames[0], tmp_path)
    assert remarks[-1] == "u decays without rounding in a.first, a.second, b, c, so spikes may differ"
    joined = replace(mapped.program.layers[0], connections=2 * mapped.program.layers[0].connections)
    program = replace(mapped.program, layers=(joined, *mapped.program.layers[1:]))
    two = tuple(
        replace(
            each,
            tiles=tuple(
                replace(use, encodings=("dense", "sparse")) if use.tile.layer == "a.first" else use
                for use in each.tiles
            ),
        )
        for each in mapping.cores
    )
    remarks = write_sanafe(program, replace(mapping, cores=two), mapped.chip, mapped.frames[0], tmp_path)
    assert remarks[-1] == "all connections of a.first cost what the first one's encoding does"


def test_a_frame_without_any_value_is_written_too(tmp_path: Path) -> None:
    mapped = mapped_program()
    write_sanafe(mapped.program, mapped.mapping, mapped.chip, np.zeros_like(mapped.frames[0]), tmp_path)
    assert "input0_0" not in (tmp_path / NETWORK_FILE).read_text(encoding="utf-8")


def test_more_synapses_than_sana_fe_can_keep_are_refused() -> None:
    wide = dense("a", "input", (2000,), np.zeros((1001, 2000), dtype=np.int16))
    expected = (
        rf"^the network has 2,002,000 synapses, but SANA-FE is given at most {MOST_SYNAPSES:,}, .*: export a smaller"
    )
    with pytest.raises(InputError, match=expected):
        check_sanafe(program_of(wide), LOIHI)


def test_synapses_that_delay_are_refused_with_the_target_that_has_none() -> None:
    first, second = dense("a", "input", (6,), ONES), dense("b", "a", (4,), ONES[:, :4])
    last = dense("c", "b", (4,), ONES[:, :4])
    skipped = replace(last, connections=(*last.connections, *dense("c", "a", (4,), ONES[:, :4]).connections))
    expected = "^synapses of layer 'c' delay spikes by 1 of SANA-FE's 0 steps: deploy .* such as loihi-sim-relay"
    with pytest.raises(InputError, match=expected):
        check_sanafe(program_of(first, second, skipped), LOIHI)


def test_neurons_of_another_kind_are_refused() -> None:
    layer = replace(dense("a", "input", (6,), ONES), neuron=IntFloorNeuron(vth=10, floor=0))
    with pytest.raises(InputError, match=r"^layer 'a' has IntFloorNeuron neurons, and SANA-FE has integrate-and-fire"):
        check_sanafe(program_of(layer), LOIHI)


def test_a_target_without_a_cost_model_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^target loihi-sim names no cost model, and SANA-FE needs one .*: give its file"
    ):
        check_sanafe(program_of(dense("a", "input", (6,), ONES)), replace(LOIHI, costs=()))


def test_deploy_exports_beside_its_other_files_and_the_report_says_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = Line(tmp_path, capsys)
    answer = line("deploy", "--model", "digits-conv", "--samples", "2", "--lava-samples", "0", "--export", "sanafe")
    assert answer.code == 0, answer.err
    folder = tmp_path / "latest"
    assert (folder / ARCHITECTURE_FILE).is_file()
    assert (folder / NETWORK_FILE).is_file()
    report = load_report(folder)
    assert next(each.text for each in report.exchange_remarks if each.file == NETWORK_FILE).startswith("SANA-FE runs")
    assert [each.model for each in report.costs] == ["davies-2018", "sana-fe-2.2"]
    assert all(each.energy and each.energy.network_nj for each in report.costs)


def test_an_export_that_is_not_there_is_refused_before_any_work() -> None:
    import torch

    with pytest.raises(InputError, match=r"^there is no export 'brian': choose one of sanafe$"):
        deploy(torch.nn.Identity(), np.zeros((1, 1, 8, 8), np.float32), exports=["brian"])
