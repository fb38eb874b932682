"""bfloat16 is left out, with a note, where the machine would only be slower for it."""

import json
from pathlib import Path

import pytest

from neuroprune.cli.main import main
from neuroprune.cli.options import amp_that_pays
from neuroprune.training import settings

NOTE = "bfloat16 is left out: this machine's cpu has no instructions for it and takes many times as long"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the machine says what its processor has."""
    monkeypatch.setattr(settings, "CPU_INFO", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


def amp_after(folder: Path, *arguments: str) -> bool:
    """The setting that a run is kept with."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--device", "cpu", "--runs", str(folder)])
    assert ended.value.code == 0
    run = max(folder.glob("0*"))
    amp: bool = json.loads((run / "checkpoint.json").read_text())["settings"]["amp"]
    return amp


def test_it_is_left_out_in_one_note_and_kept_as_what_was_done(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    machine.write_text("flags : avx2\n")
    assert not amp_after(runs, "train", "--epochs", "1", "--batch", "512", "--amp")
    assert capsys.readouterr().err.splitlines().count(NOTE) == 1
    assert not amp_after(runs, "train", "--epochs", "1", "--batch", "512")
    assert NOTE not in capsys.readouterr().err

    checkpoint = runs / "0002-train-digits" / "checkpoint.json"
    trained = json.loads(checkpoint.read_text())
    checkpoint.write_text(json.dumps(trained | {"settings": trained["settings"] | {"amp": True}}))  # of another machine
    assert not amp_after(runs, "compress", "--epochs", "1")
    assert capsys.readouterr().err.splitlines().count(NOTE) == 1


def test_it_stays_where_the_machine_has_it(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine.write_text("flags : avx2 avx512_bf16\n")
    assert amp_that_pays(True, "cpu") is True
    assert amp_that_pays(None, "cpu") is None
    assert capsys.readouterr().err == ""
