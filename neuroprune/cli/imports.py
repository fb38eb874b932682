"""Makes a run of a network that was trained elsewhere, for `neuroprune import` and `neuroprune compress`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neuroprune.cli.console import note
from neuroprune.cli.networks import note_own_weights
from neuroprune.cli.options import GivenWeights, given
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.networks.reference import is_reference
from neuroprune.runs import run_folder

if TYPE_CHECKING:
    from neuroprune.data.codings import Kind
    from neuroprune.data.types import Dataset
    from neuroprune.training.checkpoint import Model


class ImportedRun(NamedTuple):
    """A run whose network was imported, and the share of the test split that it classifies correctly."""

    folder: Path
    model: "Model"
    data: "Dataset"
    test_accuracy: float


def import_run(
    model: str,
    weights: GivenWeights,
    data: str | None,
    data_dir: Path | None,
    download: bool,
    coding: "Kind | None",
    steps: int | None,
    device: str | None,
    runs_folder: Path,
    out: Path | None = None,
) -> ImportedRun:
    """Keep the network of `model` with `weights` as a trained run; says what is taken, and what seems not to fit.

    Raises InputError where neither a file nor `model` has any, and what `import_network` raises.
    """
    from neuroprune.cli.train import new_job
    from neuroprune.data.load import load_dataset
    from neuroprune.graph.readout import most_frequent
    from neuroprune.intervals import share_interval
    from neuroprune.training.imported import import_network

    if weights.path is None and not is_reference(model):
        raise InputError(
            f"recipe {capped(model)} has no weights of its own: name their file with --weights, or train it first"
        )
    load = partial(load_dataset, folder=data_dir, download=download)
    job = new_job(load, data, model, coding or "direct", steps, given(device=device), weights)
    if weights.path is None:
        note_own_weights(model)
    with run_folder(runs_folder, "train", job.data.name, out) as folder:
        result = import_network(job.network, weights.path, job.data, job.settings, folder, job.model)
    if result.weights is not None:
        note(f"taking {result.weights.title}")
    chance = most_frequent(job.data.test.labels)
    if share_interval(result.test_accuracy, len(job.data.test))[0] <= chance:
        note(
            f"test accuracy {100 * result.test_accuracy:.2f} % is no better than the {100 * chance:.1f} % of always "
            "naming one class: check that --data, --mean and --std are those that the weights were trained with"
            + ("" if result.weights is not None else ", and that these are trained weights")
        )
    return ImportedRun(folder, job.model, job.data, result.test_accuracy)
