"""Recipes: the bundled ones are valid, and every fault in one is said in a sentence."""

import pytest
import yaml

from neuroprune.errors import InputError
from neuroprune.networks.recipe import (
    BlockLayer,
    ConvLayer,
    LinearLayer,
    PoolLayer,
    Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
)

SMALL = {"name": "small", "title": "t", "data": "digits", "steps": 2, "layers": [{"conv": 4}]}


def test_the_networks_of_the_papers_are_there():
    assert {
        "depthwise-conv",
        "digits-conv",
        "fashion-conv",
        "ms-resnet",
        "resnet19",
        "resnet19-preact",
        "sew-resnet",
        "vgg16",
    } <= set(list_recipes())


def test_each_data_set_has_one_recipe_that_is_taken_by_default():
    recipes = [load_recipe(name) for name in list_recipes()]
    defaults = [recipe.data for recipe in recipes if recipe.default]
    alone = [recipe.data for recipe in recipes if sum(other.data == recipe.data for other in recipes) == 1]
    assert len(set(defaults)) == len(defaults)
    assert {recipe.data for recipe in recipes} == {*defaults, *alone}


@pytest.mark.parametrize("name", list_recipes())
def test_bundled_recipes_are_valid_and_named_after_their_files(name):
    assert load_recipe(name).name == name


def test_vgg16_has_the_widths_and_the_neuron_of_the_criticality_paper():
    recipe = load_recipe("vgg16")
    widths = [part.conv for part in recipe.layers if isinstance(part, ConvLayer)]
    assert widths == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert sum(isinstance(part, PoolLayer) for part in recipe.layers) == 5
    assert (recipe.steps, recipe.neuron.kind, recipe.neuron.v_threshold) == (5, "lif", 1.0)
    assert recipe.neuron.tau == 4 / 3
    assert (recipe.neuron.surrogate, recipe.neuron.alpha) == ("atan", 2.0)


@pytest.mark.parametrize(("name", "kind", "steps"), [("resnet19", "td", 4), ("resnet19-preact", "preact", 5)])
def test_resnet19_has_nineteen_layers_and_the_widths_of_tdbn(name, kind, steps):
    recipe = load_recipe(name)
    blocks = [part for part in recipe.layers if isinstance(part, BlockLayer)]
    assert [(part.block, part.channels, part.repeat, part.stride) for part in blocks] == [
        (kind, 128, 3, 1),
        (kind, 256, 3, 2),
        (kind, 512, 2, 2),
    ]
    assert recipe.layers[0] == ConvLayer(conv=128) and recipe.layers[-1] == LinearLayer(linear=256)
    assert (recipe.depth, recipe.steps, recipe.readout) == (19, steps, "voltage")


def test_depth_counts_the_layers_with_weights():
    layers = [{"conv": 4}, {"depthwise": 3}, {"pool": "max"}, {"block": "td", "channels": 4, "repeat": 3}]
    assert parse_recipe({**SMALL, "layers": [*layers, {"dropout": 0.1}, {"linear": 3}]}, "recipe f").depth == 10


def test_a_recipe_can_be_a_file_of_the_users_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in SMALL.items() if key != "name"}))
    assert load_recipe(str(path)).name == "mine"


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_survives_the_way_through_json(name):
    recipe = load_recipe(name)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"stepz": 4},
            "recipe f has the unknown key stepz; allowed here are name, title, data, default, steps",
        ),
        ({"neuron": {"tao": 2}}, "has the unknown key neuron.tao; allowed here are kind, tau, v_threshold, reset"),
        ({"training": {"rate": 2}}, "has the unknown key training.rate; allowed here are epochs, batch, lr"),
        ({"fine_tuning": {"l1": 2}}, "has the unknown key fine_tuning.l1; allowed here are epochs, lr: correct"),
        ({"layers": [{"conv": 3, "size": 3}]}, "has the unknown key layers.0.size; allowed here are conv, kernel"),
        ({"layers": [{"conv": 3}, {"pool": "max", "conv": 3}]}, "unknown key layers.1.pool; allowed here are conv"),
        ({"layers": [{"cnov": 3}]}, "has no kind of layer at layers.0; it needs one of the keys conv, depthwise"),
        (
            {"layers": [3]},
            "has no kind of layer at layers.0; it needs one of the keys conv, depthwise, block, linear, pool, dropout",
        ),
        ({"layers": [{"conv": -3}]}, r"has layers.0.conv = -3, which is not allowed \(.*greater than or equal to 1\)"),
        ({"layers": [{"conv": 3, "kernel": [0, 3]}]}, r"has layers.0.kernel = .*, which is not allowed"),
        ({"layers": [{"conv": 3, "kernel": "3x3"}]}, r"has layers.0.kernel = '3x3', which is not allowed"),
        ({"layers": []}, r"has layers = \[\], which is not allowed"),
        ({"layers": [{"linear": 3}]}, "recipe f cannot be built: layers must begin with a conv layer: add one"),
        (
            {"layers": [{"conv": 3}, {"linear": 3}, {"dropout": 0.1}, {"pool": "max"}]},
            "cannot be built: a pool layer cannot follow a linear layer: move it before the first linear layer",
        ),
        (
            {"layers": [{"conv": 3}, {"linear": 3}, {"block": "td", "channels": 3}]},
            "recipe f cannot be built: a block layer cannot follow a linear layer: move it before the first linear",
        ),
        (
            {"layers": [{"conv": 3}, {"pool": "max"}, {"block": "ms", "channels": 3}]},
            "recipe f cannot be built: ms blocks read the current of a conv layer or of other ms blocks, not a pool "
            "layer: put a conv layer before them",
        ),
        (
            {"layers": [{"conv": 3}, {"block": "ms", "channels": 3}, {"block": "preact", "channels": 3}]},
            "preact blocks read the current of a conv layer or of other preact blocks, not a block layer",
        ),
        ({"layers": [{"conv": 3}, {"block": "resnet", "channels": 3}]}, "has layers.1.block = 'resnet', which is not"),
        ({"layers": [{"conv": 3}, {"block": "td"}]}, "lacks the key layers.1.channels: add it"),
        (
            {"layers": [{"conv": 3}, {"block": "td", "channels": 3, "kernel": 5}]},
            "unknown key layers.1.kernel",
        ),
        (
            {"layers": [{"conv": 3}, {"depthwise": 3, "conv": 3}]},
            "unknown key layers.1.depthwise; allowed",
        ),
        (
            {"layers": [{"conv": 3}, {"pool": "global", "size": 4}]},
            "recipe f has a fault at layers.1: a global pool covers the whole map: remove its size",
        ),
        ({"readout": "rate"}, "has readout = 'rate', which is not allowed"),
        ({"votes": 0}, "has votes = 0, which is not allowed"),
        ({"neuron": {"kind": "cuba"}}, "has neuron.kind = 'cuba', which is not allowed .*'lif', 'plif' or 'if'"),
        ({"neuron": {"reset": "soft"}}, "has neuron.reset = 'soft', which is not allowed"),
        (
            {"steps": 0},
            r"has steps = 0, which is not allowed \(Input should be greater than or equal to 1\): correct it",
        ),
        ({"neuron": {"tau": 1.0}}, r"has neuron.tau = 1.0, which is not allowed \(Input should be greater than 1\)"),
        ({"neuron": {"surrogate": "x"}}, r"has neuron.surrogate = 'x', which is not allowed \(Input should be 'atan'"),
    ],
)
def test_faults_are_said_with_place_and_remedy(change, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_recipe({**SMALL, **change}, "recipe f")


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match="recipe f lacks the key steps: add it"):
        parse_recipe({key: value for key, value in SMALL.items() if key != "steps"}, "recipe f")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [", r"recipe .*r\.yaml is not valid YAML \(.*\): correct it"),
        ("- a", "recipe .*r.yaml holds list, but must hold keys such as title, steps and layers"),
        ("!!python/object/apply:os.getcwd []", r"is not valid YAML \(could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content, sentence):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        load_recipe(str(path))


@pytest.mark.parametrize("name", ["resnet", "gone.yaml"])
def test_an_unknown_recipe_is_answered_with_the_known_ones(name):
    with pytest.raises(InputError, match=f"there is no recipe {name}; choose one of depthwise-conv, digits-conv"):
        load_recipe(name)


def test_a_recipe_of_endless_layers_is_refused():
    layers = [{"conv": 4}, {"block": "td", "channels": 4, "repeat": 10**9}]
    with pytest.raises(
        InputError, match="has 2000000002 layers with weights, and at most 1000 are built: leave some out"
    ):
        parse_recipe({**SMALL, "layers": layers}, "recipe f")


def test_values_are_quoted_as_far_as_a_sentence_has_room():
    for value in ("x" * 10**6, [["y"] * 10**4] * 10**4, {"a\x1b[2J": 1}):
        with pytest.raises(InputError, match=r"^recipe f has steps = ") as caught:
            parse_recipe({**SMALL, "steps": value}, "recipe f")
        assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".yaml", "a\0b.yaml"])
def test_a_name_that_no_file_can_have_is_no_recipe(name):
    with pytest.raises(InputError, match=r"there is no recipe .*; choose one of"):
        load_recipe(name)
