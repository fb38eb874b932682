"""Pages from templates: everything escaped, style and script inside, nothing loaded from elsewhere."""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from neuroprune.excerpts import harmless
from neuroprune.readable import amount, figure, percent, plural, rate
from neuroprune.report.ranges import ENERGIES, TIMES, in_units
from neuroprune.version import __version__


def page(template: str, **values: Any) -> str:
    """The page that `template`, a file of the folder templates/, makes of `values`.

    All texts are escaped, and control characters in them replaced. The page's own policy allows its one script, by its
    hash, and its style, and no request at all.
    """
    environment = _environment()
    script = _source("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        values, style=Markup(_source("page.css")), script=Markup(script), script_hash=digest, version=__version__
    )


def _source(name: str) -> str:
    """A file of the folder templates/ as it is."""
    environment = _environment()
    assert environment.loader is not None
    text: str = environment.loader.get_source(environment, name)[0]
    return text


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("neuroprune.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {
        "amount": amount,
        "figure": figure,
        "percent": percent,
        "plural": plural,
        "rate": rate,
        "time": lambda nanoseconds: in_units(nanoseconds, TIMES),
        "energy": lambda nanojoules: in_units(nanojoules, ENERGIES),
    }
    return environment


def _printable(value: Any) -> Any:
    return harmless(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value
