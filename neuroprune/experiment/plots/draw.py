"""Every plot that there is data for, as PNG and SVG."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import matplotlib
from matplotlib.figure import Figure

from neuroprune.compression.record import FILE as COMPRESSION, load_compress_record
from neuroprune.experiment.plan import Plan
from neuroprune.experiment.plots.accuracy import draw_accuracy
from neuroprune.experiment.plots.course import draw_course
from neuroprune.experiment.plots.features import draw_features
from neuroprune.experiment.plots.importance import Survivors, draw_importance
from neuroprune.experiment.plots.style import Drawn
from neuroprune.experiment.record import FEATURES, IMPORTANCE, TrialRecord, load_features, load_importance
from neuroprune.files import replace_file
from neuroprune.reading import is_file

Found = TypeVar("Found")

FOLDER = "plots"
FORMATS = ("png", "svg")


def draw(plan: Plan, records: Iterable[TrialRecord], folder: Path) -> tuple[Path, ...]:
    """Draw the plots of an experiment into `folder`/plots and return their files, without the format's ending.

    records: of `run_experiment`, which left the trials in `folder`. Raises OutputError.
    """
    done = [record for record in records if record.result is not None]
    files = []
    with matplotlib.rc_context({"svg.hashsalt": "neuroprune", "svg.fonttype": "none"}):
        for comparison in plan.comparisons:
            for network in dict.fromkeys(record.network for record in done if record.comparison == comparison.name):
                of_both = [each for each in done if (each.comparison, each.network) == (comparison.name, network)]
                for name, figure in _draw(of_both, comparison.baseline, folder):
                    file = folder / FOLDER / f"{comparison.name}-{network}-{name}"
                    for ending in FORMATS:
                        _save(figure, file.with_name(f"{file.name}.{ending}"), ending)
                    files.append(file)
    return tuple(files)


def _save(figure: Figure, file: Path, ending: str) -> None:
    """As the same bytes whenever it is drawn, since files that have not changed should not look as if they had."""
    metadata = {"Date": None} if ending == "svg" else {}
    replace_file(file, lambda path: figure.savefig(path, format=ending, metadata=metadata))


def _draw(records: Sequence[TrialRecord], baseline: str, folder: Path) -> Iterator[Drawn]:
    """Of one comparison on one network."""
    yield from draw_accuracy(records)
    for target in dict.fromkeys(record.target for record in records):
        at_target = [record for record in records if record.target == target]
        title = f"{records[0].network}, {target}"
        compressions = _found(at_target, folder, COMPRESSION, load_compress_record)
        features = _found(at_target, folder, FEATURES, load_features)
        survivors = {
            variant: {seed: Survivors.of(compressions[variant][seed], each) for seed, each in by_seed.items()}
            for variant, by_seed in _found(at_target, folder, IMPORTANCE, load_importance).items()
        }
        suffix = target.replace(" + ", "+").replace(" ", "-")
        for name, figure in (
            *draw_course(title, {variant: list(found.values()) for variant, found in compressions.items()}),
            *draw_features(title, {variant: list(found.values()) for variant, found in features.items()}),
            *draw_importance(title, baseline, survivors),
        ):
            yield f"{name}-{suffix}", figure


def _found(
    records: Iterable[TrialRecord], folder: Path, name: str, load: Callable[[Path], Found]
) -> dict[str, dict[int, Found]]:
    """By variant and seed, what those trials have left that have the file `name`."""
    found: dict[str, dict[int, Found]] = {}
    for record in records:
        file = folder / record.place / name
        if is_file(file):
            found.setdefault(record.variant, {})[record.seed] = load(file)
    return found
