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


def test_targets_shows_every_limit_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "targets")
    for name in list_chips():
        chip = load_chip(name)
        assert f"{name}: {chip.title}" in text
        for limit, fact in chip.facts.items():
            assert limit in text
            assert fact.source.split()[0] in text


def test_targets_as_json_holds_value_unit_source_and_grade(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(printed(capsys, "targets", "--json"))
    assert [each["name"] for each in listed] == list(list_chips())
    (chip,) = json.loads(printed(capsys, "targets", "loihi-sim", "--json"))
    fact = load_chip("loihi-sim").facts["neurons_per_core"]
    assert (fact.value, chip["family"]) == (1024, "loihi")
    assert chip["neurons_per_core"] == {
        "value": 1024,
        "unit": "neurons",
        "source": fact.source,
        "grade": fact.grade,
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
