"""compress.json: what is written comes back, others are refused in a sentence, and showing it needs no torch."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from neuroprune.compression.record import (
    CompressRecord,
    LayerShare,
    NetworkCost,
    Survival,
    Target,
    load_compress_record,
)
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of
from neuroprune.compression.table import layers_csv, render
from neuroprune.errors import InputError, OutputError
from neuroprune.intervals import AccuracyChange, accuracy_change, chance_warning
from neuroprune.records import record_json, save_record
from neuroprune.training.history import EpochRecord
from neuroprune.training.settings import TrainSettings

DENSE = NetworkCost(
    accuracy=0.975,
    accuracy_interval=(0.95, 0.99),
    parameters=12_345,
    nonzero_parameters=12_300,
    flops=2_000_000,
    flops_per_step=500_000,
    unfolded_synops=65_432.5,
    bytes=49_380,
)
CUT = NetworkCost(
    accuracy=0.5,
    accuracy_interval=(0.45, 0.55),
    parameters=6_000,
    nonzero_parameters=5_900,
    flops=1_000_000,
    flops_per_step=250_000,
    unfolded_synops=30_000.0,
    bytes=24_000,
)
SLIM = NetworkCost(
    accuracy=0.9625,
    accuracy_interval=(0.94, 0.98),
    parameters=6_000,
    nonzero_parameters=5_900,
    flops=1_000_000,
    flops_per_step=250_000,
    unfolded_synops=31_000.0,
    bytes=24_000,
)


@pytest.fixture
def record() -> CompressRecord:
    return CompressRecord(
        run="runs/0002-compress-digits",
        source="runs/0001-train-digits",
        strategy=strategy_of(CompressSettings(flops=0.5), "plain"),
        targets=(Target(of="flops", asked=0.5, reached=0.5),),
        prunable=64,
        total=74,
        dense=DENSE,
        cut=CUT,
        pruned=SLIM,
        samples=400,
        change=AccuracyChange(gained=2, lost=7, low=-0.028, high=0.003),
        warnings=(),
        layers=(
            LayerShare(name="stem.conv1", before=24, after=18, regenerated=2),
            LayerShare(name="conv2", before=40, after=30, regenerated=2),
        ),
        survival=(),
        history=(EpochRecord(1, 1.5, 0.4, 0.5, 0.001, 2.0),),
    )


@pytest.fixture
def sparse(record: CompressRecord) -> CompressRecord:
    """The same of single weights."""
    settings = CompressSettings(sparsity=0.9, fine_tune=TrainSettings(epochs=3))
    return record.model_copy(
        update={
            "strategy": strategy_of(settings, "plain"),
            "targets": (Target(of="sparsity", asked=0.9, reached=0.9),),
            "cut": None,
            "survival": (Survival(iteration=9, sparsity=0.9, cut=50, rescued=25),),
        }
    )


def test_a_record_comes_back_as_it_was_from_its_folder_and_from_its_file(
    record: CompressRecord, tmp_path: Path
) -> None:
    save_record(record, tmp_path / "compress.json")
    assert load_compress_record(tmp_path) == load_compress_record(tmp_path / "compress.json") == record


def test_the_names_of_the_fields_are_what_scripts_read(record: CompressRecord) -> None:
    values = json.loads(record_json(record))
    assert list(values) == [
        "schema_version", "run", "from", "strategy", "targets", "limits", "prunable", "total", "dense", "cut",
        "pruned", "samples", "change", "warnings", "layers", "survival", "rounds", "history",
    ]  # fmt: skip
    assert list(values["dense"]) == [
        "accuracy", "accuracy_interval", "parameters", "nonzero_parameters", "flops", "flops_per_step",
        "unfolded_synops", "bytes", "on_chip",
    ]  # fmt: skip
    assert values["strategy"]["method"] == "criticality"
    assert values["targets"] == [{"of": "flops", "asked": 0.5, "reached": 0.5}]
    assert values["layers"][0] == {"name": "stem.conv1", "before": 24, "after": 18, "regenerated": 2, "kept": None}
    assert values["from"] == "runs/0001-train-digits"


def test_a_record_that_is_not_there_names_the_command_that_writes_it(tmp_path: Path) -> None:
    sentence = r"compress\.json is not there; `neuroprune compress` writes a record of a compression"
    with pytest.raises(InputError, match=sentence):
        load_compress_record(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "compress.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(
        InputError, match=r"compress\.json is not whole JSON \(it is not UTF-8 text\): compress the network again"
    ):
        load_compress_record(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 40, 400])
def test_a_truncated_record_is_refused(record: CompressRecord, tmp_path: Path, kept: int) -> None:
    (tmp_path / "compress.json").write_text(record_json(record)[:kept])
    sentence = r"is not whole JSON \(.*\): compress the network again"
    with pytest.raises(InputError, match=sentence):
        load_compress_record(tmp_path)


def test_a_record_of_another_schema_is_refused_whatever_else_it_holds(tmp_path: Path) -> None:
    (tmp_path / "compress.json").write_text('{"schema_version": 2, "channels": []}')
    sentence = "is a record of a compression of schema 2, but this neuroprune reads schema 3; compress the net"
    with pytest.raises(InputError, match=sentence):
        load_compress_record(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"targets": [{"of": "flops", "asked": 1.5, "reached": 0.5}]}, r"targets\.0\.asked: Input should be less than"),
        ({"targets": [{"of": "time", "asked": 0.5, "reached": 0.5}]}, r"targets\.0\.of"),
        ({"strategy": {"method": "gmp"}}, r"strategy\.kind: Field required"),
        ({"colour": 1}, "colour: Extra inputs are not permitted"),
        ({"dense": None}, "dense: Input should be"),
        (
            {"layers": [{"name": "a", "before": 1, "after": -1, "regenerated": 0}]},
            r"layers\.0\.after: Input",
        ),
        ({"history": [{"epoch": 1}]}, r"history\.0\.loss: Field required"),
        ({"history": [{**vars(EpochRecord(1, 1, 1, 1, 1, 1)), "extra": 1}]}, r"history\.0\.extra: Unexpected"),
        ({"schema_version": None}, "schema_version: Input should be a valid integer"),
    ],
)
def test_a_damaged_record_names_the_field(
    record: CompressRecord, tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    (tmp_path / "compress.json").write_text(json.dumps(json.loads(record_json(record)) | change))
    with pytest.raises(InputError, match=rf"is not a whole record of a compression \({complaint}"):
        load_compress_record(tmp_path)


def test_a_record_from_before_there_was_a_schema_is_refused(record: CompressRecord, tmp_path: Path) -> None:
    values = json.loads(record_json(record))
    del values["schema_version"]
    (tmp_path / "compress.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"\(schema_version: Field required\): compress the network again"):
        load_compress_record(tmp_path)


def test_a_record_that_cannot_be_written_leaves_the_old_one(record: CompressRecord, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"compress\.json could not be written"):
        save_record(record, tmp_path / "file" / "compress.json")
    assert (tmp_path / "file").read_text() == "in the way"


def test_the_layers_as_csv_are_a_row_each(record: CompressRecord) -> None:
    rows = list(csv.DictReader(io.StringIO(layers_csv(record))))
    assert rows == [
        {"name": "stem.conv1", "before": "24", "after": "18", "regenerated": "2"},
        {"name": "conv2", "before": "40", "after": "30", "regenerated": "2"},
    ]


def test_the_table_fits_80_columns_and_shows_every_figure(record: CompressRecord) -> None:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(render(record))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    for shown in (
        "Pruned by criticality to 50.0% of the FLOPs", "97.50%", "96.25%", "-1.25 points", "before fine-tuning",
        "50.00%", "95.0-99.0%", "94.0-98.0%", "-2.80 to +0.30", "unfolded SynOps",
        "12.35 k", "12.3 k", "6 k", "2 M", "1 M", "500 k", "250 k", "65.43 k", "31 k", "49.38 kB", "24 kB", "48.6%",
        "Channels kept (75.0% of all prunable ones)", "64 of the 74 channels of all layers are prunable",
        "score gamma; 0.3 of what stays brought back by criticality (max, trained surrogate)",
    ):  # fmt: skip
        assert shown in " ".join(text.split()), shown
    for width in record.layers:
        expected = [width.name, str(width.before), str(width.after), "75.0%", str(width.regenerated)]
        assert any(line.split()[1::2] == expected for line in text.splitlines())


def test_weights_have_a_table_of_their_own(sparse: CompressRecord) -> None:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(render(sparse))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80 and "before fine-tuning" not in text
    for shown in (
        "Pruned by criticality to 90.0% zero weights", "Weights kept (75.0% of all prunable ones)",
        "64 weights of convolutions and linear layers are prunable", "2 epochs of pruning from initial weights",
    ):  # fmt: skip
        assert shown in " ".join(text.split()), shown


def test_criticality_says_where_a_control_does_as_well(record: CompressRecord, sparse: CompressRecord) -> None:
    def shown(of: CompressRecord, **changes: object) -> str:
        console = Console(width=80, color_system=None)
        with console.capture() as capture:
            console.print(render(of.model_copy(update={"strategy": replace(of.strategy, **changes)})))
        return " ".join(capture.get().split())

    control = "a control may do as well: a uniform cut (--method uniform) did in 7 of 8 comparisons on digits, Fash"
    assert control in shown(record)
    assert "a control may do as well: gmp (--method gmp) did at 90, 95 and 98 %" in shown(sparse)
    for changes in ({"method": "uniform"}, {"regenerate_by": "random"}, {"layer_floor": 0.2}):
        assert "a control may" not in shown(record, **changes), changes


def test_a_tie_is_called_a_tie_and_a_hollow_accuracy_is_warned_of(record: CompressRecord) -> None:
    def shown(**changes: object) -> str:
        console = Console(width=80, color_system=None)
        with console.capture() as capture:
            console.print(render(record.model_copy(update=changes)))
        return " ".join(capture.get().split())

    tie = "the change of accuracy is within the noise of 400 test samples"
    assert tie in shown()
    assert tie not in shown(change=accuracy_change(gained=2, lost=30, samples=400))
    warning = chance_warning(0.1, 400, 0.11)
    assert warning is not None and f"warning: {warning}" in shown(warnings=(warning,))
    assert "warning" not in shown()


def test_without_fine_tuning_there_is_no_accuracy_before_it(record: CompressRecord) -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render(record.model_copy(update={"history": ()})))
    assert "before fine-tuning" not in capture.get()


def test_a_compression_is_shown_without_torch(record: CompressRecord, tmp_path: Path) -> None:
    save_record(record, tmp_path / "compress.json")
    code = (
        "import sys\nfrom neuroprune.cli.main import main\n"
        f"try:\n    main(['report', {str(tmp_path)!r}])\nexcept SystemExit as stopped:\n    assert stopped.code == 0\n"
        "assert not {'torch', 'spikingjelly'} & set(sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "Pruned by criticality" in answer.stdout
