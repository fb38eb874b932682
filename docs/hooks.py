"""What mkdocs adds to the pages as it builds the site, so that it cannot disagree with the code.

    <!-- options of train -->        becomes what `neuroprune train --help` says, taken from the click command
    <!-- limits of loihi-sim -->     becomes a table of the chip's YAML
    <!-- resources of loihi-sim -->  becomes a paragraph for each resource of its cores, with the error that names it
    <!-- objects in report.json -->  becomes the fields of all objects in it, taken from its JSON Schema
    <!-- table of parts -->           becomes the parts that a network may have; there are tables of chips, data,
                                     formats and what pruning offers, too, each taken from its catalogue

Pages and files of the repository's top level join the site (`PAGES`, `FILES`), and links between files, which are right
in the repository, are made right for the site.
"""

import html
import inspect
import json
import posixpath
import re
import textwrap
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml
from docstrings import as_markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from schemas import json_schema

from neuroprune.chips.load import list_chips, load_chip
from neuroprune.choices import Choice
from neuroprune.cli.main import cli
from neuroprune.compression.catalog import KINDS, METHODS, REGROWTHS, RHYTHMS, SCORES
from neuroprune.compression.strategy import REGENERATION, REGENERATION_BY_SPARSITY
from neuroprune.data.catalog import list_datasets
from neuroprune.exchange.catalog import FORMATS
from neuroprune.graph.catalog import support_table
from neuroprune.mapping.effort import EFFORTS
from neuroprune.networks.nir.catalog import framework_table

TOP = Path(__file__).resolve().parents[1]
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "RESULTS.md": "results.md"}
FILES = ("hw_targets/*.yaml", "models/*.yaml", "plans/*.yaml", "notebooks/*.ipynb")
_LINK = re.compile(r"(?<=\]\()([\w./-]+)(?=[#)])")
_MARKER = re.compile(r"^<!-- (options of|limits of|resources of|objects in|table of) ([\w.-]+) -->$", re.MULTILINE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what lies outside of docs/ or is made here."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(TOP / source)))
    for pattern in FILES:
        for path in sorted(TOP.glob(pattern)):
            files.append(File.generated(config, path.relative_to(TOP).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what comes from the code, and lead links to where the site has their files."""
    markdown = _MARKER.sub(lambda match: MADE[match[1]](match[2]), markdown)
    source = Path(page.file.abs_src_path or "").relative_to(TOP).as_posix()
    return _LINK.sub(lambda match: site_link(match[1], source, page.file.src_uri), markdown)


def site_link(link: str, source: str, page: str) -> str:
    """`link`, as the file `source` of the repository has it, as the page `page` of the site must have it."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    on_site = target.removeprefix("docs/") if target.startswith("docs/") else PAGES.get(target, target)
    return posixpath.relpath(on_site, posixpath.dirname(page) or ".")


def options(name: str) -> str:
    """Usage, options and examples of a command as Markdown."""
    context = click.Context(cli, info_name="neuroprune", **cli.context_settings)
    command = cli.get_command(context, name)
    if command is None:
        raise LookupError(f"there is no command {name!r}")
    own = click.Context(command, info_name=name, parent=context)
    records = (option.get_help_record(own) for option in command.get_params(own))
    parts = [
        f"```text\n{' '.join(['neuroprune', name, *command.collect_usage_pieces(own)])}\n```",
        as_markdown(inspect.cleandoc(command.help or "")),
        "\n\n".join(f"`{record[0]}`\n:   {html.escape(record[1], quote=False)}" for record in records if record),
    ]
    for paragraph in (command.epilog or "").split("\n\n"):
        title, _, lines = paragraph.removeprefix("\b\n").partition("\n")
        parts.append(f"**{title.rstrip(':')}**\n\n```sh\n{textwrap.dedent(lines)}\n```")
    return "\n\n".join(parts)


def limits(name: str) -> str:
    """Every number of a chip's YAML as a Markdown table, in its order."""
    content = yaml.safe_load((TOP / "hw_targets" / f"{name}.yaml").read_text(encoding="utf-8"))
    facts = {key: fact for key, fact in content.items() if isinstance(fact, dict)}
    columns = list(next(iter(facts.values())))
    rows = [[f"`{key}`", *(str(fact[column]).strip("[]") for column in columns)] for key, fact in facts.items()]
    return f"family: `{load_chip(name).core.name}`\n\n{_table(['key', *columns], rows)}"


def resources(name: str) -> str:
    """Each resource of a chip's cores: its meaning, and the error of a program that needs more, as Markdown."""
    chip = load_chip(name)
    parts = []
    for each in chip.core.resources:
        error = each.exceeded_by("layer conv1", "N", name)
        parts.append(f"{each.name}\n:   {each.meaning} Where one needs more:\n\n    > Error: {error}")
    return "\n\n".join(parts)


def table(name: str) -> str:
    """What there is to choose from, as a Markdown table."""
    return TABLES[name]()


def _chips() -> str:
    chips = map(load_chip, list_chips())
    return _table(["chip", "what it is", "family"], [[f"`{c.name}`", c.title, f"`{c.core.name}`"] for c in chips])


def _data() -> str:
    rows = []
    for info in list_datasets():
        frames = "T x " * info.recordings + " x ".join(map(str, info.shape))
        samples = [f"{count:,}" for count in (info.train_samples, info.test_samples)]
        files = html.escape(info.files, quote=False) or "none"
        source = f"; from <{info.source}>" if info.source else ""
        rows.append([f"`{info.name}`", info.title, frames, *samples, files + source])
    return _table(["data", "what it is", "frames", "train", "test", "files"], rows)


def _formats() -> str:
    rows = [
        [each.name, f"`{each.file}`", f"the {each.holds} in {each.title}", "yes" if each.reads else "no"]
        for each in FORMATS
    ]
    return _table(["format", "file", "what it holds", "read by `deploy`"], rows)


def _methods() -> str:
    rows = []
    for method in METHODS:
        for kind in KINDS:
            preset = method.preset(kind.name)
            if preset is None:
                continue
            ratio = Fraction(preset.prune_ratio).limit_denominator(10)
            epochs = f"{ratio.numerator} : {ratio.denominator}" if ratio else "0"
            score = "its own" if preset.score == "own" else f"`{preset.score}`"
            score += ", each layer alike" if preset.uniform else ""
            regrowth = "" if preset.regenerate_by == "none" else f"`{preset.regenerate_by}`"
            what = [f"`{method.name}`", kind.name, method.title, preset.start, epochs, RHYTHMS[preset.algorithm]]
            rows.append([*what, score, regrowth, method.source])
    columns = ["method", "kind", "what stays", "start", "N_p : N_f", "dT", "score", "regrowth", "source"]
    return _table(columns, rows)


def _choices(what: str, choices: tuple[Choice, ...]) -> str:
    return _table(
        [what, "what it is", "source"],
        [[f"`{each.name}`", each.title.replace("|", r"\|"), each.source] for each in choices],
    )


def _efforts() -> str:
    rows = [[f"`{each.name}`", each.choice.title, f"{each.trials:,}"] for each in EFFORTS]
    return _table(["effort", "what is done", "ways tried at most"], rows)


def _regeneration() -> str:
    rows = []
    for family, (mild, strong) in REGENERATION.items():
        rows.append([f"channels of a {family} network, to half of the cost or more", f"{mild:g}"])
        rows.append([f"channels of a {family} network, to less", f"{strong:g}"])
    rows += [[f"weights, to a sparsity of {sparsity:.0%}", f"{r:g}"] for sparsity, r in REGENERATION_BY_SPARSITY]
    return _table(["pruned", "r"], rows)


def objects(file: str) -> str:
    """What the file holds and what each object in it is, with the types of their fields, as Markdown."""
    schema = json_schema(file)
    return "\n\n".join(_object(each) for each in (schema, *schema["$defs"].values()))


def _object(schema: dict[str, Any]) -> str:
    rows = [[f"`{field}`", _type(kind)] for field, kind in schema["properties"].items()]
    about = as_markdown(inspect.cleandoc(schema.get("description", "")))
    return f"### {schema['title']}\n\n{about}\n\n{_table(['field', 'type'], rows)}"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows))


def _type(kind: dict[str, Any]) -> str:
    """A field's JSON Schema in words."""
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in kind:
        return " or ".join(_type(each) for each in kind["anyOf"])
    if "const" in kind or "enum" in kind:
        return " or ".join(f"`{json.dumps(value)}`" for value in kind.get("enum", [kind.get("const")]))
    if kind["type"] == "array":
        items = [_type(each) for each in kind.get("prefixItems", [kind["items"]] if "items" in kind else [])]
        return f"array of {len(items)} {items[0]}s" if "prefixItems" in kind else f"array of {items[0]}"
    if kind["type"] == "object":
        return f"object of {_type(kind['additionalProperties'])}s by name"
    if "maximum" in kind:
        return f"{kind['type']}, {kind['minimum']:g} to {kind['maximum']:g}"
    return f"{kind['type']}, at least {kind['minimum']:g}" if "minimum" in kind else str(kind["type"])


TABLES = {
    "chips": _chips,
    "data": _data,
    "efforts": _efforts,
    "formats": _formats,
    "methods": _methods,
    "frameworks": framework_table,
    "parts": support_table,
    "regeneration": _regeneration,
    "regrowths": partial(_choices, "regrowth", REGROWTHS),
    "scores": partial(_choices, "score", SCORES),
}
MADE = {"options of": options, "limits of": limits, "resources of": resources, "objects in": objects, "table of": table}
