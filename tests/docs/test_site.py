"""The built site: whole, true to the code, and content with the files it brings along."""

import html
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
from pydantic import BaseModel

from neuroprune.chips.load import list_chips, load_chip
from neuroprune.choices import names
from neuroprune.cli.main import COMMANDS, cli
from neuroprune.compression.catalog import METHODS, REGROWTHS, SCORES
from neuroprune.compression.record import CompressRecord
from neuroprune.data.catalog import DATASETS
from neuroprune.exchange.catalog import FORMATS
from neuroprune.graph.catalog import LAYERS
from neuroprune.neurons.catalog import NEURON_MODELS
from neuroprune.report.compare_schema import Comparison
from neuroprune.report.schema import Report

LOADING = {"audio", "embed", "iframe", "img", "link", "object", "script", "source", "video"}


class Page(HTMLParser):
    """Tags with their attributes, and the anchors, of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    @property
    def anchors(self) -> set[str]:
        return {attributes[name] for _, attributes in self.tags for name in ("id", "name") if name in attributes}

    def links(self) -> Iterator[tuple[str, str]]:
        """(tag, link) for all that the page loads or leads to."""
        for tag, attributes in self.tags:
            yield from ((tag, attributes[name]) for name in ("href", "src") if name in attributes)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    # 404.html is for a server that shows it under any address: its links begin at the root.
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_docs_is_in_the_site(site: Path, pages: dict[Path, Page]) -> None:
    sources = Path(__file__).resolve().parents[2].glob("docs/*.md")
    expected = {path.stem for path in sources} | {"contributing", "changelog", "results"}
    assert {path.stem for path in pages} == expected


def test_every_link_leads_to_a_file_of_the_site_and_to_an_anchor_in_it(site: Path, pages: dict[Path, Page]) -> None:
    lost = []
    for path, page in pages.items():
        for _, link in page.links():
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and target in pages and parts.fragment not in anchors | {"__"}):
                lost.append(f"{path.name}: {link}")
    assert not lost


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, Page]) -> None:
    outside = [link for page in pages.values() for tag, link in page.links() if tag in LOADING and "//" in link]
    assert not outside
    assert any(link.endswith(".css") for page in pages.values() for _, link in page.links())


def test_no_style_sheet_loads_anything_from_elsewhere(site: Path) -> None:
    sheets = list(site.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        assert "@import" not in text
        assert "url(http" not in text.replace('"', "").replace("'", "").replace("(//", "(http")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_on_the_page_with_the_words_of_help(site: Path, name: str) -> None:
    text = " ".join(html.unescape((site / "commands.html").read_text(encoding="utf-8")).split())
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    context = click.Context(command, info_name=name)
    records = [parameter.get_help_record(context) for parameter in command.params]
    assert all(f"<code>{record[0]}</code>" in text for record in records if record)
    # Click adds this one, and keeps it with the command as whoever asked first had it named.
    assert "<code>-h, --help</code>" in text


@pytest.mark.parametrize(
    ("name", "form"), [("report", Report), ("compress", CompressRecord), ("comparison", Comparison)]
)
def test_the_schema_describes_the_files_that_this_version_writes(site: Path, name: str, form: type[BaseModel]) -> None:
    schema = json.loads((site / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert schema.items() >= form.model_json_schema().items()
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_the_tables_of_the_pages_have_all_that_the_catalogues_list(site: Path) -> None:
    listed = {
        "your-network": [name for info in (*LAYERS, *NEURON_MODELS) for name in info.class_names],
        "chips": list_chips(),
        "data": names(DATASETS),
        "pruning": names((*METHODS, *SCORES, *REGROWTHS)),
        "formats": [each.file for each in FORMATS],
    }
    for page, entries in listed.items():
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        assert not [name for name in entries if f"<code>{name}</code>" not in text], page


@pytest.mark.parametrize("name", ["loihi-sim", "speck"])
def test_the_page_of_chips_has_each_resource_as_errors_have_it(site: Path, name: str) -> None:
    text = html.unescape((site / "chips.html").read_text(encoding="utf-8"))
    text = " ".join(text.split())
    for resource in load_chip(name).core.resources:
        assert resource.meaning and resource.meaning in text
        assert resource.exceeded_by("layer conv1", "N", name) in text


def test_what_comes_from_the_code_leaves_no_marker_behind(pages: dict[Path, Page]) -> None:
    markers = ("<!-- options of", "<!-- limits of", "<!-- resources of", "<!-- objects in", "<!-- table of", "--8<--")
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert not any(marker in text for marker in markers)


def test_no_python_of_the_sites_own_is_published(site: Path) -> None:
    assert not list(site.rglob("*.py"))
