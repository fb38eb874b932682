"""The page of a report: whole, escaped, and without a word from any network."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from neuroprune.errors import OutputError
from neuroprune.report.chip_schema import ResourceUse
from neuroprune.report.html.chip_map import STRONG, chip_maps, details, measures
from neuroprune.report.html.report_page import report_html, write_report_html
from neuroprune.report.schema import AccuracyLadder, Report

VOID = {"meta", "link", "br", "img", "input"}
EVIL = "</script><img src=x onerror=\"alert('1')\">&{{ 7 * 7 }}"


class Page(HTMLParser):
    """The elements of a page with their attributes, its text, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        within = self.open[-1] if self.open else ""
        (self.scripts if within == "script" else self.texts).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(report: Report) -> Page:
    return Page(report_html(report))


def map_data(report: Report) -> dict[str, list[dict[str, object]]]:
    data: dict[str, list[dict[str, object]]] = json.loads(page_of(report).scripts[0])
    return data


@pytest.fixture(params=["plain", "full", "several chips"])
def any_report(
    request: pytest.FixtureRequest, report: Report, full: Report, report_of: Callable[..., Report]
) -> Report:
    return {"plain": report, "full": full, "several chips": report_of(300)}[request.param]


def test_a_page_is_one_file_that_loads_nothing(any_report: Report) -> None:
    page = page_of(any_report)
    assert not [tag for tag, _ in page.elements if tag in ("img", "iframe", "object", "embed", "source", "video")]
    assert [each["href"] for each in page.all("link")] == ["data:,"]
    assert all("src" not in each for each in page.all("script"))
    assert all(str(each["href"]).startswith("#") for each in page.all("a"))
    html = report_html(any_report)
    assert "http://" not in html and "https://" not in html
    assert "@import" not in html and "url(" not in html


def test_its_policy_allows_its_own_script_and_no_request(report: Report) -> None:
    page = page_of(report)
    policy = next(each["content"] for each in page.all("meta") if "http-equiv" in each)
    digest = base64.b64encode(hashlib.sha256(page.scripts[-1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_every_name_is_escaped(full: Report) -> None:
    text = full.model_dump_json().replace("features.0.neuron", json.dumps(EVIL)[1:-1])
    evil = Report.model_validate_json(text).model_copy(
        update={"network": EVIL, "data": EVIL, "warnings": (EVIL,), "versions": {EVIL: EVIL}}
    )
    page = page_of(evil)
    assert len(page.all("script")) == 2 and not page.all("img")
    assert EVIL in page.text and "49" not in page.text.split()
    assert json.loads(page.scripts[0])["cores"][0]["tiles"][0][0] == f"1 {EVIL}"


def test_control_characters_are_replaced(report: Report) -> None:
    html = report_html(report.model_copy(update={"network": "a\N{RIGHT-TO-LEFT OVERRIDE}b\x1b"}))
    assert "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}" in html


def test_all_layers_and_cores_are_there(any_report: Report) -> None:
    page = page_of(any_report)
    cells = [each for _, each in page.elements if each.get("role") == "option"]
    assert {int(str(each["data-core"])) for each in cells} == set(range(len(any_report.cores)))
    table = page.text[page.text.rindex("Table of cores") :]
    assert all(f" {core.index} {core.chip} {core.x},{core.y} " in table for core in any_report.cores)
    for layer in any_report.layers:
        assert f"{layer.name} {layer.kind} " in page.text


def test_each_cell_lies_where_its_core_does_and_says_its_load(report: Report) -> None:
    cells = [each for _, each in page_of(report).elements if each.get("role") == "option"]
    assert [each["style"] for each in cells] == [f"grid-area:1/{x + 1};--v:98" for x in range(3)]
    assert cells[0]["aria-label"] == "core 0: load: the fullest resource 98%"
    assert [each["tabindex"] for each in cells] == ["0", "-1", "-1"]


def test_each_chip_has_a_map_of_its_own(report_of: Callable[..., Report]) -> None:
    page = page_of(report_of(300))
    boxes = [each for _, each in page.elements if each.get("role") == "listbox"]
    assert [each["aria-labelledby"] for each in boxes] == ["chip-0", "chip-1", "chip-2"]
    assert {each["style"] for each in boxes} == {"--columns:16;--rows:8"}
    for caption in ("chip 0: 128 cores of 128", "chip 2: 44 cores of 128"):
        assert caption in page.text


def test_the_map_of_an_older_report_is_as_large_as_its_cores_need(report: Report) -> None:
    old = report.model_copy(update={"target": report.target.model_copy(update={"mesh": None})})
    assert [(each.columns, each.rows) for each in chip_maps(old)] == [(3, 1)]


def test_the_map_shows_load_layers_and_activity(report: Report) -> None:
    found = {each.label: each.cells[2] for each in measures(report)}
    assert list(found) == [
        "load: the fullest resource", "neurons", "input axons", "output axons", "synapse memory", "synapse formats",
        "layers, by their number", "SynOps a step", "SynOps a step without zero weights", "spikes sent a step",
    ]  # fmt: skip
    assert found["synapse memory"] == (79, "79%")
    assert found["layers, by their number"] == (275, "2")
    assert found["SynOps a step"] == (100, "1.00k")
    assert found["spikes sent a step"] == (100, "14.5")


def test_loads_are_shares_of_the_limit_of_each_core_itself(report: Report) -> None:
    """A chip whose cores differ, as Speck's do."""
    cores = tuple(
        core.model_copy(
            update={"resources": (ResourceUse(name="kernel memory", unit="words", used=8, limit=16 << core.index),)}
        )
        for core in report.cores
    )
    limits = report.target.resources[:1]
    of_nine = report.model_copy(
        update={"cores": cores, "target": report.target.model_copy(update={"resources": limits})}
    )
    assert [cell.text for cell in measures(of_nine)[1].cells] == ["50%", "25%", "12%"]
    assert details(of_nine)[1]["uses"] == [["kernel memory", "8 of 32 words", 25]]


def test_the_panel_tells_tiles_and_what_they_take(report: Report) -> None:
    (first, *_, last) = map_data(report)["cores"]
    assert first["title"] == "core 0, chip 0, at 0,0"
    assert first["uses"][3] == ["synapse memory", "100.5 of 128.0 KiB", 79]  # type: ignore[index]
    assert first["facts"] == ["1.00k SynOps a step", "12.5 spikes a step"]
    assert last["tiles"] == [
        [
            "2 classifier",
            "10 neurons: 0-9",
            "neurons 98%; input axons 50%; output axons 12%; synapse memory 79%; synapse formats 6%; stored as dense",
        ]
    ]


def test_a_tile_of_a_plane_says_channels_rows_and_columns(report: Report) -> None:
    tile = report.cores[0].tiles[0].model_copy(update={"start": (0, 8, 0), "stop": (4, 16, 16)})
    core = report.cores[0].model_copy(update={"tiles": (tile,), "idle_neurons": 1})
    found = details(report.model_copy(update={"cores": (core, *report.cores[1:])}))[0]
    assert found["tiles"][0][1] == "512 neurons: channels 0-3, rows 8-15, columns 0-15"
    assert found["facts"][-1] == "1 idle neuron"


def test_older_tiles_say_less(report: Report) -> None:
    cores = tuple(
        core.model_copy(
            update={"tiles": tuple(t.model_copy(update={"used": (), "spikes_per_step": None}) for t in core.tiles)}
        )
        for core in report.cores
    )
    old = report.model_copy(update={"cores": cores})
    assert "spikes sent a step" not in [each.label for each in measures(old)]
    assert details(old)[0]["tiles"][0][2] == "stored as shared"
    assert details(old)[0]["facts"] == ["1.00k SynOps a step"]


def test_what_is_there_is_shown(full: Report) -> None:
    text = page_of(full).text
    for words in (
        "proven to need at least 2 cores: a gap of at most 50.0%",
        "found at effort normal",
        "37.2k messages a sample to other cores, 5.12k that stay on their core, 81.2k hops, 120 to other chips",
        "The heaviest link, on chip 0 from 3,1 to 4,1, carries 812 a step.",
        "Estimates by published models, never measurements.",
        "Loihi 1 as measured published 5.50 \N{MICRO SIGN}s compute, core 1 44.0 \N{MICRO SIGN}s 45.0k 1.62 "
        "\N{MICRO SIGN}J 1.21 \N{MICRO SIGN}J 320 nJ not known 88.0 nJ not known",
        "Loihi 2 assumed not known not known not known not known not published",
        "No energy is published for Loihi 2.",
        "classifier: 6 channels fewer save 1 core (neurons bind) (3 to 2 cores)",
        "quantised 97.50% (95.3-98.7)",
        "-0.75 points on the chip (-2.20 to +0.60 at 95 %), within the noise of 360 samples.",
        "Spikes that changed against the float network",
        "neurons on 3 cores",
        "program.net features.0.neuron: a remark",
        "were they stored, 5 cores in place of 3",
    ):
        assert words in text, words


def test_every_total_has_a_name_of_its_own(full: Report) -> None:
    """The neurons of the network, and those that they take of the cores, are two."""
    html = report_html(full)
    named = re.findall("<dt>(.*?)</dt>", html[html.index("Totals and provenance") :])
    assert {"neurons", "neurons on cores"} <= set(named)
    assert len(named) == len(set(named)), named


def test_what_a_cost_model_leaves_out_stands_behind_its_source_each_apart(full: Report) -> None:
    cost = full.costs[0].model_copy(update={"source": "Table 2", "remarks": ("a minimum", "leakage is left out")})
    text = page_of(full.model_copy(update={"costs": (cost,)})).text
    assert "Table 2; a minimum; leakage is left out" in text


def test_what_is_not_there_is_said_or_left_out(report: Report) -> None:
    layers = tuple(
        each.model_copy(
            update={"bound": None, "changed": None, "zero_weights_share": None, "zeros_stored": None, "resources": ()}
        )
        for each in report.layers
    )
    totals = report.totals.model_copy(update={"zero_weights_share": None, "zeros_stored": None})
    bare = report.model_copy(
        update={"layers": layers, "totals": totals, "accuracy": AccuracyLadder(), "data": None, "seed": None}
    )
    text = page_of(bare).text
    assert "This report has no figures on messages between cores." in text
    assert "This report has no estimates of time and energy." in text
    assert "Unknown: the samples have no labels." in text
    assert "not known" in text
    for words in ("proven to", "What would take fewer cores", "Spikes that changed", "worth of each resource", "None"):
        assert words not in text, words


def test_the_page_can_be_used_by_keyboard_and_screen_reader(any_report: Report) -> None:
    page = page_of(any_report)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("nav")) == len(page.all("h1")) == 1
    identities = [str(each["id"]) for _, each in page.elements if "id" in each]
    assert len(identities) == len(set(identities))
    named = [str(each["aria-labelledby"]) for _, each in page.elements if "aria-labelledby" in each]
    aims = [str(each["href"]).removeprefix("#") for each in page.all("a")]
    labels = [str(each["for"]) for each in page.all("label")]
    assert {*named, *aims, *labels} <= set(identities)
    assert all("aria-labelledby" in each for each in page.all("section"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(each.get("scope") in ("col", "row") for each in page.all("th"))
    regions = [each for _, each in page.elements if each.get("role") == "region"]
    assert regions and all(each["tabindex"] == "0" and each["aria-label"] for each in regions)


def test_text_turns_where_both_colours_of_it_can_be_read() -> None:
    """Contrast of 4.5 at every level, of text on the colours of the map, mixed in Oklab as browsers do."""
    style = (Path(report_html.__code__.co_filename).parent / "templates" / "page.css").read_text()
    for low, high, on_low, on_high in (colours(style, 0), colours(style, 1)):
        start, stop = oklab(low), oklab(high)
        for level in range(101):
            ground = luminance([a + (b - a) * level / 100 for a, b in zip(start, stop, strict=True)])
            text = luminance(oklab(on_high if level > STRONG else on_low))
            assert (max(ground, text) + 0.05) / (min(ground, text) + 0.05) >= 4.5, level


def colours(style: str, place: int) -> list[str]:
    """Of the light style first, then of the dark one."""
    return [re.findall(rf"--{name}: #([0-9a-f]+)", style)[place] for name in ("low", "high", "on-low", "on-high")]


def oklab(colour: str) -> list[float]:
    """By the matrices of Ottosson 2020."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    r, g, b = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    )
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return [
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    ]


def luminance(lab: list[float]) -> float:
    """Relative, of WCAG."""
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_page_that_cannot_be_written_is_named(report: Report, tmp_path: Path) -> None:
    write_report_html(report, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report_html(report)
    with pytest.raises(OutputError, match=r"page\.html could not be written"):
        write_report_html(report, tmp_path / "report.html" / "page.html")
