"""`neuroprune models`."""

import click

from neuroprune.cli.console import next_step, show, show_json
from neuroprune.cli.options import json_option
from neuroprune.readable import plain_table

EPILOG = """\b
Examples:
  neuroprune models
  neuroprune models vgg16 > my_vgg.yaml"""


@click.command(epilog=EPILOG, short_help="List the network recipes.")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the recipes, or print the recipe NAME as YAML, to start one of your own from."""
    import yaml

    from neuroprune.networks.recipe import list_recipes, load_recipe

    recipes = [load_recipe(each) for each in ([name] if name else list_recipes())]
    if as_json:
        show_json([recipe.model_dump(mode="json") for recipe in recipes])
    elif name:
        plain = recipes[0].model_dump(mode="json", exclude={"name"}, exclude_none=True)
        click.echo(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None), nl=False)
        next_step(f"neuroprune train --model {name}")
    else:
        table = plain_table(
            "", "recipe", "what it is", "made for", "T", "layers", "epochs", right=("T", "layers", "epochs")
        )
        for recipe in recipes:
            figures = (str(recipe.steps), str(recipe.depth), str(recipe.training.epochs))
            made_for = f"{recipe.data} (default)" if recipe.default else recipe.data
            table.add_row(recipe.name, recipe.title, made_for, *figures)
        show(table)
        first = next((recipe for recipe in recipes if recipe.default), recipes[0])
        next_step(f"neuroprune train --model {first.name}")
