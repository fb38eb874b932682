"""A network that was trained elsewhere, kept as a training leaves one, so that whatever follows can go on from it."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.hashes import sha256_of_file
from neuroprune.networks.nir.catalog import nir_reference, path_of
from neuroprune.networks.reference import parse_reference
from neuroprune.training.checkpoint import DESCRIPTION, Model, WeightsFacts, facts_of, save_checkpoint
from neuroprune.training.evaluate import measure_split
from neuroprune.training.fit import check_fits
from neuroprune.training.settings import TrainSettings, pick_device
from neuroprune.training.weights import LoadedWeights, load_weights


@dataclass(frozen=True, eq=False)
class ImportResult:
    """A network that was taken as it is.

    module: the one that was given, in evaluation mode. weights: what was put into it, None where it kept its own.
    test_accuracy: share of the test split that it classifies correctly, 0..1.
    """

    module: nn.Module
    weights: LoadedWeights | None
    test_accuracy: float


def import_network(
    module: nn.Module,
    weights: Path | None,
    data: Dataset,
    settings: TrainSettings | None = None,
    folder: Path | None = None,
    model: Model | None = None,
) -> ImportResult:
    """Put the weights in a file into `module`, in place, and measure on the test split of `data` what it can do.

    weights: a file as `load_weights` reads it; None where the module has its weights already. data: with frames as the
    network was trained on, which as a rule are not those that `load_dataset` makes: see `with_normalisation`. settings:
    of a training that may follow, as after pruning, by default those of `TrainSettings`; on their device is measured.
    folder: where the network is kept as a training without epochs, which `compress` and the command line take up; that
    needs `model` to say how the module is built (a recipe, or "file.py:Class").
    Raises InputError when the weights do not fit the module or the module not the data, or when `folder` holds a
    checkpoint already; OutputError when it cannot be written.

    >>> import tempfile
    >>> import torch
    >>> from pathlib import Path
    >>> from neuroprune import build, import_network, load_checkpoint, load_dataset, load_recipe, with_normalisation
    >>> data, recipe = with_normalisation(load_dataset("digits")), load_recipe("digits-conv")
    >>> network = build(recipe, data.input_shape, len(data.classes))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     weights, folder = Path(place, "weights.pth"), Path(place, "imported")
    ...     torch.save(network.state_dict(), weights)  # or what another program wrote
    ...     result = import_network(network, weights, data, folder=folder, model=recipe)
    ...     checkpoint = load_checkpoint(folder)
    >>> checkpoint.weights.test_accuracy == result.test_accuracy, checkpoint.history
    (True, ())
    """
    if folder is not None and model is None:
        raise InputError("a checkpoint must say how its network is built: pass model, a recipe or 'file.py:Class'")
    if folder is not None and (folder / DESCRIPTION).exists():
        raise InputError(f"{folder} already holds a checkpoint: choose another folder")
    settings = settings or TrainSettings()
    loaded = None if weights is None else load_weights(module, weights)
    device = pick_device(settings.device)
    module.to(device).eval()
    check_fits(module, data, device)
    accuracy = measure_split(module, data.test, data.coding, settings).accuracy
    assert accuracy is not None
    if folder is not None and model is not None:
        facts = replace(_own_weights(model) if loaded is None else loaded.facts, test_accuracy=accuracy)
        save_checkpoint(folder, module, model, facts_of(data), settings, (), facts)
    return ImportResult(module, loaded, accuracy)


def _own_weights(model: Model) -> WeightsFacts:
    """The facts of the weights that the network of `model` is made with: those of its file where that is one of NIR."""
    path = path_of(parse_reference(nir_reference(model))) if isinstance(model, str) else None
    return WeightsFacts(None, None) if path is None else WeightsFacts(path.name, sha256_of_file(path))
