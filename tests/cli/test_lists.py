"""`targets`, `models` and `data`: everything that is there, for people and as JSON."""

import json
from pathlib import Path

import pytest
import yaml

from neuroprune.chips.load import list_chips, load_chip
from neuroprune.cli.main import main
from neuroprune.data.catalog import list_datasets
from neuroprune.networks.recipe import list_recipes, load_recipe


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = capsys.readouterr()
    assert stopped.value.code == 0, said.err
    return said.out


def test_targets_lists_every_chip_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "targets")
    assert list_chips()
    for name in list_chips():
        assert name in text and load_chip(name).title in text


@pytest.mark.parametrize("name", list_chips())
def test_a_target_is_shown_with_every_number_its_file_and_source(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "targets", "show", name)
    chip = load_chip(name)
    assert f"{name}: {chip.title} (family {chip.core.name})" in text
    for limit, fact in chip.facts.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"{limit} ")]
        assert f" {fact.unit} " in row and f" {fact.grade} " in row and f" {fact.file.name} " in row
        assert fact.source.split()[0] in row
    for resource in chip.core.resources:
        assert resource.name in text and resource.meaning.split()[0] in text


def test_a_users_yaml_is_shown_by_its_path_with_what_it_inherits_and_from_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    mine = {"value": 512, "unit": "neurons", "source": "a test", "grade": "assumed"}
    path.write_text(yaml.safe_dump({"extends": "loihi1", "neurons_per_core": mine}))
    text = printed(capsys, "targets", "show", str(path))
    origins = {line.split()[0]: word for line in text.splitlines() for word in line.split() if word.endswith(".yaml")}
    assert origins["neurons_per_core"] == "mine.yaml"
    assert origins["subtracting_compartments"] == "loihi1.yaml"
    assert origins["word_bits"] == "loihi-sim.yaml"


def test_targets_as_json_holds_value_unit_source_grade_and_file(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(printed(capsys, "targets", "--json"))
    assert [each["name"] for each in listed] == list(list_chips())
    chip = json.loads(printed(capsys, "targets", "show", "loihi1", "--json"))
    fact = load_chip("loihi-sim").facts["neurons_per_core"]
    assert (fact.value, chip["family"], chip["resources"][0]["limit"]) == (1024, "loihi", 1024)
    assert chip["neurons_per_core"] == {
        "value": 1024,
        "unit": "neurons",
        "source": fact.source,
        "grade": fact.grade,
        "file": str(fact.file),
    }


def test_models_names_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "models")
    assert list_recipes()
    assert all(name in text for name in list_recipes())
    assert text.count("(default)") == sum(load_recipe(name).default for name in list_recipes()) >= 3
    assert [each["name"] for each in json.loads(printed(capsys, "models", "--json"))] == list(list_recipes())


@pytest.mark.parametrize("name", list_recipes())
def test_a_printed_recipe_can_be_saved_and_read_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / f"{name}.yaml"
    saved.write_text(printed(capsys, "models", name))
    assert yaml.safe_load(saved.read_text())
    assert load_recipe(str(saved)) == load_recipe(name)


def test_data_names_every_set_and_the_folder_looked_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "--data-dir", str(tmp_path)])
    said = capsys.readouterr()
    assert all(info.name in said.out for info in list_datasets())
    assert str(tmp_path) in said.err
    assert [each["name"] for each in json.loads(printed(capsys, "data", "--json"))] == [
        info.name for info in list_datasets()
    ]
