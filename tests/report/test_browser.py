"""The pages in a real browser, where there is one: their script runs, and nothing is complained of."""

import shutil
import subprocess
from pathlib import Path

import pytest

from neuroprune.report.compare import compare_reports
from neuroprune.report.html.compare_page import comparison_html
from neuroprune.report.html.report_page import report_html
from neuroprune.report.schema import Report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=3000")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")


def shown(html: str, folder: Path) -> tuple[str, list[str]]:
    """The document after its script has run, and what the console has."""
    assert BROWSER is not None
    (folder / "page.html").write_text(html, encoding="utf-8")
    command = [BROWSER, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", str(folder / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_of_a_report_runs_without_a_complaint(full: Report, tmp_path: Path) -> None:
    document, console = shown(report_html(full), tmp_path)
    assert console == []
    assert 'aria-label="core 0, chip 0, at 0,0: load: the fullest resource 98%"' in document
    assert '<button type="button">neurons</button>' in document


def test_the_page_of_a_comparison_runs_without_a_complaint(full: Report, report: Report, tmp_path: Path) -> None:
    document, console = shown(comparison_html(compare_reports([full, report], ["a", "b"])), tmp_path)
    assert console == []
    assert "2 reports compared" in document


def test_a_script_that_is_not_the_pages_own_is_refused(report: Report, tmp_path: Path) -> None:
    _, console = shown(report_html(report).replace("</main>", "<script>alert(1)</script></main>"), tmp_path)
    assert len(console) == 1
    assert "Content Security Policy" in console[0]
