"""The pages, README among them, as they stand in the repository: what they name is there, what they say is so."""

import ast
import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import h5py
import numpy as np
import pytest
import torch
from programs import conv, program_of

from neuroprune.chips.chip import Fact, Grade
from neuroprune.chips.load import list_chips, load_chip
from neuroprune.choices import names
from neuroprune.cli.main import COMMANDS, INTERRUPTED, TERMINATED, cli, main
from neuroprune.compression.catalog import Residual
from neuroprune.compression.channels import channel_groups, count_channels, has_stream
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.surgery import removable
from neuroprune.data.catalog import DATASETS, find_dataset
from neuroprune.data.codings import CODINGS
from neuroprune.errors import NeuropruneError
from neuroprune.exchange.catalog import FORMATS
from neuroprune.exchange.netx.write import write_netx
from neuroprune.graph.catalog import support_table
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe

TOP = Path(__file__).resolve().parents[2]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").glob("*.md"))]

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}[^\n]*\n)+)")
INLINE = re.compile(r"`([^`]+)`")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def commands_of(page: Path) -> Iterator[str]:
    """What a reader could type: lines of shell blocks, and commands in the running text."""
    blocks = [match[3] for match in FENCE.finditer(text_of(page)) if match[2] == "sh"]
    blocks += [match[1] for match in INDENTED.finditer(prose_of(page))]
    yield from (line.strip() for block in blocks for line in block.splitlines() if line.strip())
    yield from (" ".join(match[1].split()) for match in INLINE.finditer(prose_of(page)))


def subclasses(kind: type[NeuropruneError]) -> Iterator[type[NeuropruneError]]:
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


def exit_codes(page: Path) -> dict[int, str]:
    return {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+?) \|$", text_of(page), re.MULTILINE)}


@each_page
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose_of(page))
    paths = {page.parent / link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")}
    assert not [path for path in paths if not path.exists()]


@each_page
def test_every_file_of_the_repository_that_is_named_is_there(page: Path) -> None:
    made = ("runs", "build", "data", ".venv")
    folders = "|".join(re.escape(path.name) for path in TOP.iterdir() if path.is_dir() and path.name not in made)
    named = re.findall(rf"(?<![\w./~-])(?:{folders})/[\w./*-]*", text_of(page))
    assert not [name for name in named if not list(TOP.glob(name.rstrip("./")))]


@each_page
def test_every_command_line_is_one_that_the_command_takes(page: Path) -> None:
    for line in commands_of(page):
        words = shlex.split(line, comments=True) if line.startswith("neuroprune ") else []
        if len(words) < 2:
            continue
        assert words[1] in COMMANDS, line
        arguments = words[2 : words.index(">")] if ">" in words else words[2:]
        command = cli.get_command(click.Context(cli), words[1])
        assert command is not None
        command.make_context(words[1], arguments)  # raises UsageError


@each_page
def test_every_make_target_is_one_of_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = [word for line in commands_of(page) if line.startswith("make ") for word in line.partition("#")[0].split()]
    assert {word for word in used if "=" not in word} <= targets | {"make"}


def test_the_pages_do_name_commands() -> None:
    lines = [line for page in PAGES for line in commands_of(page) if line.startswith("neuroprune ")]
    assert {line.split()[1] for line in lines} == set(COMMANDS)


@pytest.mark.parametrize("page", [TOP / "README.md", TOP / "docs" / "errors.md"], ids=lambda page: page.name)
def test_the_table_of_exit_codes_has_those_of_the_errors(page: Path) -> None:
    assert set(exit_codes(page)) == {
        0,
        INTERRUPTED,
        TERMINATED,
        *(kind.exit_code for kind in subclasses(NeuropruneError)),
    }


def test_the_exit_codes_mean_the_same_in_the_readme_and_on_the_site() -> None:
    assert exit_codes(TOP / "README.md") == exit_codes(TOP / "docs" / "errors.md")


def test_the_page_of_formats_names_every_field_and_attribute_of_a_netx_file(tmp_path: Path) -> None:
    write_netx(program_of(conv("out", "input", (1, 4, 4), np.full((2, 1, 3, 3), 2))), tmp_path / "program.net")
    names: set[str] = set()
    with h5py.File(tmp_path / "program.net") as file:
        file.visititems(lambda path, item: names.update({path.rpartition("/")[2]} - {str(n) for n in range(9)}))
        names.update(file.attrs)
        file.visititems(lambda path, item: names.update(item.attrs))
    told = set(re.findall(r"[\w.]+", " ".join(INLINE.findall(prose_of(TOP / "docs" / "formats.md")))))
    assert {"steps", "vThMant", "groups_of_program"} <= names
    assert names <= told


def test_the_rooms_of_the_architecture_are_the_folders_of_the_package() -> None:
    section = text_of(TOP / "docs" / "architecture.md").partition("## Rooms")[2].partition("\n## ")[0]
    rooms = re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)
    folders = [path.parent.name for path in (TOP / "neuroprune").glob("*/__init__.py")]
    assert sorted(rooms) == sorted(folders)


def test_the_page_of_pruning_says_what_every_option_of_its_settings_means() -> None:
    command = cli.get_command(click.Context(cli), "compress")
    assert command is not None
    known = {field.name for field in dataclasses.fields(CompressSettings)} | {"kind", "epochs", "target", "resume"}
    options = {option.opts[0] for option in command.params if option.name in known}
    section = text_of(TOP / "docs" / "pruning.md").partition("## Options\n")[2].partition("\n## ")[0]
    named = {name for line in re.findall(r"^(`--.*)$", section, re.MULTILINE) for name in INLINE.findall(line)}
    assert {"--score", "--residual", "--sparsity"} <= options <= named


@pytest.mark.parametrize("recipe", ["vgg16", "resnet19", "resnet19-preact", "sew-resnet", "ms-resnet"])
def test_the_page_of_pruning_counts_the_channels_of_a_recipe_rightly(recipe: str) -> None:
    found = load_recipe(recipe)
    shape = find_dataset(found.data).shape
    module = build(found, shape, 10).eval()
    graph = trace(module, torch.zeros(1, *shape))
    counts, total = [], 0
    for mode in get_args(Residual) if has_stream(graph) else ("gather",):
        count, total = count_channels(graph, removable(module, channel_groups(graph, mode)))
        counts.append(str(count))
    row = " | ".join([f"`{recipe}`", *(counts if len(counts) == 2 else (*counts, "-")), str(total)])
    assert f"| {row} |" in text_of(TOP / "docs" / "pruning.md")


def test_the_public_names_are_all_on_the_page_of_the_api_or_of_the_errors() -> None:
    stub = ast.parse(text_of(TOP / "neuroprune" / "__init__.pyi"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    public = {f"neuroprune.{node.module}.{alias.name}" for node in imports for alias in node.names}
    pages = text_of(TOP / "docs" / "api.md") + text_of(TOP / "docs" / "errors.md")
    shown = re.findall(r"^::: (neuroprune[\w.]+)$", pages, re.MULTILINE)
    assert len(shown) == len(set(shown))
    assert set(shown) - {"neuroprune.errors"} == public - {"neuroprune.version.__version__"}


def test_nothing_is_left_to_be_done_on_the_pages() -> None:
    assert not [page.name for page in PAGES if "TODO" in text_of(page)]


def test_the_readme_has_the_table_of_the_parts_that_are_read() -> None:
    assert support_table() in text_of(TOP / "README.md")


def test_the_readme_says_of_each_format_what_its_catalogue_does() -> None:
    for each in FORMATS:
        assert f"| `{each.file}` | {each.name}: the {each.holds} in {each.title} |" in text_of(TOP / "README.md")


def test_the_readme_names_every_data_set_and_coding() -> None:
    section = text_of(TOP / "README.md").partition("## Data\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"[\w-]+", " ".join(INLINE.findall(section))))
    assert set(names(DATASETS)) | set(names(CODINGS)) <= named


def test_the_page_of_chips_defines_what_is_known_of_each_number() -> None:
    page = text_of(TOP / "docs" / "chips.md")
    assert re.findall(r"^(\w+)\n:   ", page, re.MULTILINE) == [
        field.name for field in dataclasses.fields(Fact) if field.name != "file"
    ]
    grades = re.search(r"^grade\n:   (.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    assert grades is not None
    assert tuple(word.lower() for word in re.findall(r"\*(\w+)\*", grades[1])) == get_args(Grade)


def test_the_readme_says_what_is_known_of_each_number_of_a_chip() -> None:
    inline = set(INLINE.findall(prose_of(TOP / "README.md")))
    written = {field.name for field in dataclasses.fields(Fact)} - {"file"}
    assert written | {"family", "extends: loihi-sim"} <= inline
    assert "loihi-sim" in list_chips()
    assert load_chip("loihi-sim").core.name == "loihi"


def test_the_network_on_the_page_can_be_deployed(tmp_path: Path) -> None:
    code, *_ = [match[3] for match in FENCE.finditer(text_of(TOP / "docs" / "your-network.md")) if match[2] == "python"]
    file = tmp_path / "my_network.py"
    file.write_text(code, encoding="utf-8")
    options = ["--samples", "8", "--lava-samples", "0", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main(["deploy", "--model", f"{file}:Net", *options])
    assert stopped.value.code == 0
