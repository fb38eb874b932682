"""The catalogues: without torch, complete, and each entry leads to what it names."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest
from torch import nn

import neuroprune
from neuroprune.exchange.catalog import FORMATS
from neuroprune.graph import read
from neuroprune.graph.catalog import LAYERS, PARTS
from neuroprune.neurons.catalog import NEURON_MODELS

CATALOGUES = (
    "chips.catalog",
    "neurons.catalog",
    "graph.catalog",
    "exchange.catalog",
    "data.catalog",
    "compression.catalog",
    "networks.catalog",
    "data.codings",
)
HEAVY = ("torch", "spikingjelly", "onnx", "h5py", "sklearn", "lava")


def test_catalogues_import_nothing_heavy() -> None:
    modules = ", ".join(f"neuroprune.{name}" for name in CATALOGUES)
    code = f"import sys, neuroprune, {modules}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_each_layer_of_the_catalogue_has_a_reader_and_no_reader_is_left_over() -> None:
    assert set(read._READER_OF) == {info.name for info in LAYERS}
    classes = [path for info in LAYERS for path in info.classes]
    assert len(set(classes)) == len(classes) == len(read._READERS)
    for path in classes:
        found = pkgutil.resolve_name(path)
        assert issubclass(found, nn.Module) and found in read._READERS
    assert {info.part for info in LAYERS} <= set(PARTS)


@pytest.mark.parametrize("info", NEURON_MODELS, ids=lambda info: info.name)
def test_each_neuron_model_of_the_catalogue_reads_the_classes_it_names_and_no_others(info) -> None:
    model = import_module(info.module).MODEL
    assert isinstance(model, neuroprune.NeuronModel) and model in neuroprune.neuron_models()
    assert (model.name, set(model.readers)) == (info.name, set(info.classes))
    for path in info.classes:
        kind = pkgutil.resolve_name(path)
        # By the full name, which is where the class is defined, not where it may be imported from.
        assert f"{kind.__module__}.{kind.__qualname__}" == path and issubclass(kind, nn.Module)


@pytest.mark.parametrize("info", FORMATS, ids=lambda info: info.name)
def test_each_format_of_the_catalogue_is_there_and_reads_where_it_says_so(info) -> None:
    found = import_module(info.module).FORMAT
    assert isinstance(found, neuroprune.ExchangeFormat) and found.info is info
    assert found in neuroprune.exchange_formats()
    assert info.file.endswith(info.suffix) and info.suffix.startswith(".")
    assert (type(found).read is not neuroprune.ExchangeFormat.read) == info.reads


def test_suffixes_files_and_names_tell_entries_apart() -> None:
    for values in (
        [info.suffix for info in FORMATS],
        [info.file for info in FORMATS],
        [info.name for info in NEURON_MODELS],
        [path for info in NEURON_MODELS for path in info.classes],
        [family.name for family in neuroprune.FAMILIES],
    ):
        assert len(set(values)) == len(values) > 0


def test_each_family_gives_its_numbers_units_and_has_chips() -> None:
    assert all(issubclass(family, neuroprune.Family) and all(family.units().values()) for family in neuroprune.FAMILIES)
    assert {type(neuroprune.load_chip(name).core) for name in neuroprune.list_chips()} == set(neuroprune.FAMILIES)


def test_every_public_name_is_there() -> None:
    for name in neuroprune.__all__:
        assert getattr(neuroprune, name) is not None
