"""A network that was trained elsewhere, kept as a training leaves one, so that whatever follows can go on from it."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.training.checkpoint import DESCRIPTION, Model, facts_of, save_checkpoint
from neuroprune.training.evaluate import measure_split
from neuroprune.training.fit import check_fits
from neuroprune.training.settings import TrainSettings, pick_device
from neuroprune.training.weights import LoadedWeights, load_weights


@dataclass(frozen=True, eq=False)
class ImportResult:
    """The module that was given, with its weights and in evaluation mode, and the share of the test split, 0..1, that
    it classifies correctly with them."""

    module: nn.Module
    weights: LoadedWeights
    test_accuracy: float


def import_network(
    module: nn.Module,
    weights: Path,
    data: Dataset,
    settings: TrainSettings | None = None,
    folder: Path | None = None,
    model: Model | None = None,
) -> ImportResult:
    """Put the weights in a file into `module`, in place, and measure on the test split of `data` what it can do.

    weights: a file as `load_weights` reads it. data: with frames as the network was trained on, which as a rule are not
    those that `load_dataset` makes: see `with_normalisation`. settings: of a training that may follow, as after
    pruning, by default those of `TrainSettings`; on their device is measured.
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
    loaded = load_weights(module, weights)
    device = pick_device(settings.device)
    module.to(device).eval()
    check_fits(module, data, device)
    accuracy = measure_split(module, data.test, data.coding, settings).accuracy
    assert accuracy is not None
    if folder is not None and model is not None:
        facts = replace(loaded.facts, test_accuracy=accuracy)
        save_checkpoint(folder, module, model, facts_of(data), settings, (), facts)
    return ImportResult(module, loaded, accuracy)
