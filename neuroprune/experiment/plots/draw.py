"""Every plot that there is data for, as PNG and SVG."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from neuroprune.compression.record import FILE as COMPRESSION, load_compress_record
from neuroprune.experiment.plan import Plan
from neuroprune.experiment.plots.accuracy import draw_accuracy
from neuroprune.experiment.plots.course import draw_course
from neuroprune.experiment.plots.features import draw_features
from neuroprune.experiment.plots.style import Drawn
from neuroprune.experiment.record import FEATURES, TrialRecord, load_features
from neuroprune.files import replace_file
from neuroprune.reading import is_file

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
                for name, figure in _draw(of_both, folder):
                    file = folder / FOLDER / f"{comparison.name}-{network}-{name}"
                    for ending in FORMATS:
                        _save(figure, file.with_name(f"{file.name}.{ending}"), ending)
                    files.append(file)
    return tuple(files)


def _save(figure: Figure, file: Path, ending: str) -> None:
    """As the same bytes whenever it is drawn, since files that have not changed should not look as if they had."""
    metadata = {"Date": None} if ending == "svg" else {}
    replace_file(file, lambda path: figure.savefig(path, format=ending, metadata=metadata))


def _draw(records: Sequence[TrialRecord], folder: Path) -> Iterator[Drawn]:
    """Of one comparison on one network."""
    yield from draw_accuracy(records)
    for target in dict.fromkeys(record.target for record in records):
        at_target = [record for record in records if record.target == target]
        title = f"{records[0].network}, {target}"
        places: dict[str, list[Path]] = {}
        for record in at_target:
            places.setdefault(record.variant, []).append(folder / record.place)
        compressions = {
            variant: [load_compress_record(each) for each in found if is_file(each / COMPRESSION)]
            for variant, found in places.items()
        }
        features = {
            variant: [load_features(each / FEATURES) for each in found if is_file(each / FEATURES)]
            for variant, found in places.items()
        }
        suffix = target.replace(" + ", "+").replace(" ", "-")
        for name, figure in (
            *draw_course(title, compressions),
            *draw_features(title, {variant: found for variant, found in features.items() if found}),
        ):
            yield f"{name}-{suffix}", figure
