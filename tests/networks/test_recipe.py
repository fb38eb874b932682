"""Recipes: the bundled ones are valid, and every fault in one is said in a sentence."""

import pytest
import yaml

from neuroprune.errors import InputError
from neuroprune.networks.recipe import ConvLayer, PoolLayer, Recipe, list_recipes, load_recipe, parse_recipe

SMALL = {"name": "small", "title": "t", "data": "digits", "steps": 2, "layers": [{"conv": 4}]}


def test_the_three_recipes_are_there():
    assert list_recipes() == ("digits-conv", "fashion-conv", "vgg16")


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
        ({"stepz": 4}, "recipe f has the unknown key stepz; allowed here are name, title, data, steps, neuron, layers"),
        ({"neuron": {"tao": 2}}, "has the unknown key neuron.tao; allowed here are kind, tau, v_threshold, surrogate"),
        ({"training": {"rate": 2}}, "has the unknown key training.rate; allowed here are epochs, batch, lr"),
        ({"fine_tuning": {"l1": 2}}, "has the unknown key fine_tuning.l1; allowed here are epochs, lr: correct"),
        ({"layers": [{"conv": 3, "size": 3}]}, "has the unknown key layers.0.size; allowed here are conv, kernel"),
        ({"layers": [{"conv": 3}, {"pool": "max", "conv": 3}]}, "unknown key layers.1.pool; allowed here are conv"),
        ({"layers": [{"cnov": 3}]}, "has no kind of layer at layers.0; it needs one of the keys conv, linear, pool"),
        (
            {"layers": [3]},
            "has no kind of layer at layers.0; it needs one of the keys conv, linear, pool, dropout: add",
        ),
        ({"layers": [{"conv": -3}]}, r"has layers.0.conv = -3, which is not allowed \(.*greater than or equal to 1\)"),
        ({"layers": [{"conv": 3, "kernel": [0, 3]}]}, r"has layers.0.kernel = .*, which is not allowed"),
        ({"layers": [{"conv": 3, "kernel": "3x3"}]}, r"has layers.0.kernel = '3x3', which is not allowed"),
        ({"layers": []}, r"has layers = \[\], which is not allowed"),
        ({"layers": [{"linear": 3}]}, "recipe f cannot be built: layers must begin with a conv layer: add one"),
        (
            {"layers": [{"conv": 3}, {"linear": 3}, {"pool": "max"}]},
            "a conv or pool layer cannot follow a linear layer",
        ),
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
    with pytest.raises(
        InputError, match=f"there is no recipe {name}; choose one of digits-conv, fashion-conv, vgg16, or"
    ):
        load_recipe(name)
