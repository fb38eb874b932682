"""The page of a comparison."""

from pathlib import Path

from neuroprune.files import write_text
from neuroprune.report.compare_schema import Comparison
from neuroprune.report.compare_table import binding, described, differences, in_turn, shown_figure, shown_ratio
from neuroprune.report.html.page import page


def comparison_html(comparison: Comparison) -> str:
    """The whole comparison as one page of HTML, which loads nothing."""
    return page(
        "compare.html",
        comparison=comparison,
        binding=binding,
        described=described,
        differences=differences(comparison),
        in_turn=in_turn,
        shown_figure=shown_figure,
        shown_ratio=shown_ratio,
    )


def write_comparison_html(comparison: Comparison, path: Path) -> None:
    """Write the page of `comparison` to the file `path`, atomically. Raises OutputError."""
    write_text(path, comparison_html(comparison))
