"""Pruning a trained network from start to end: whole channels, which are removed, or single weights, held at zero."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.compression.channels import has_stream
from neuroprune.compression.chip_cost import chip_samples, program_on, same_chip
from neuroprune.compression.chip_limits import check_limits
from neuroprune.compression.course import Course
from neuroprune.compression.measure import measure
from neuroprune.compression.own import Algorithm, pick_algorithm
from neuroprune.compression.prunable import check_sparsity, find_prunable
from neuroprune.compression.result import Before, CompressResult, read_kept
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of
from neuroprune.compression.surgery import duplicate
from neuroprune.data.coding import frames_on
from neuroprune.data.hold_out import hold_out
from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.graph.fold import fold
from neuroprune.graph.readout import most_frequent
from neuroprune.graph.trace import trace
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress, silent
from neuroprune.reading import reading
from neuroprune.runs import STATE
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.module_check import COMPARED_FRAMES, verify_module
from neuroprune.training.checkpoint import Checkpoint, load_checkpoint
from neuroprune.training.observer import Observer
from neuroprune.training.resume import Keeping, read_unfinished
from neuroprune.training.settings import pick_device
from neuroprune.training.tensors import load_tensors


def compress(
    module: nn.Module,
    data: Dataset,
    settings: CompressSettings,
    progress: Progress = silent,
    *,
    initial: nn.Module | None = None,
    algorithm: Algorithm | None = None,
    neurons: Sequence[NeuronModel] | None = None,
    chip: Chip | str | None = None,
    observers: Sequence[Observer] = (),
    folder: Path | None = None,
    source: Path | None = None,
) -> CompressResult:
    """`module` without its least important channels or weights, trained on `data`; the module itself stays as it is.

    module: a trained network, for structured pruning best with L1 on its BatchNorm scales. A copy of it is pruned, on
    the device of fine-tuning or else on the module's own.
    initial: the network that pruning begins with where the method starts from initial weights; a copy is trained.
    algorithm: one of your own, made of a `PruningJob`, such as a subclass of `ChannelPruning` or `WeightPruning`, with
    settings of method "own"; records call the method by the name of its class.
    neurons: models that layers of neurons are read as, by default all that neuroprune has.
    chip: what the mapper counts cores and memory of, before and after, and in between to keep within the limits of the
    settings: a chip, its name or the path of its YAML.
    observers: see the last training, in which single weights are pruned or what is left of the channels is fine-tuned.
    folder: where the network is kept from the start of every training on, after each epoch, and in the end with
    compress.json; source: the run with the checkpoint that `module` was restored from, needed with `folder`.
    Raises UnsupportedNetwork for a network that cannot be mapped, VerificationError for one that does not compute what
    was read of it, and InputError for one that the method does not fit, one whose cost cannot be brought near the share
    asked for, or one that fixes its widths in its code; OutputError when `folder` cannot be written.

    >>> from neuroprune import CompressSettings, build, compress, load_dataset, load_recipe
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))  # or a trained one
    >>> result = compress(network, data, CompressSettings(flops=0.5, method="slimming"))
    >>> f"{result.pruned.flops / result.dense.flops:.1f}"
    '0.5'
    """
    algorithm = pick_algorithm(settings.method, settings.kind, algorithm)
    chip = load_chip(chip) if isinstance(chip, str) else chip
    check_limits(settings.limits, chip)
    if folder is not None and source is None:
        raise InputError("a compression that is kept must say which run is pruned: pass source, its folder")
    if settings.fine_tune is not None:
        data = hold_out(data, settings.fine_tune.validation)
    dense = duplicate(module).eval()
    if settings.fine_tune is not None:
        dense.to(pick_device(settings.fine_tune.device))
    frames = frames_on(next(dense.parameters()).device, data.train.images[:COMPARED_FRAMES], data.coding)
    graph = trace(dense, frames, neurons)
    verify_module(dense, graph, fold(graph), frames.cpu().numpy())
    strategy = strategy_of(settings, "residual" if has_stream(graph) else "plain")
    prunable = find_prunable(dense, graph, strategy)
    if settings.sparsity is not None:
        check_sparsity(settings.sparsity, prunable.count)
    if strategy.start == "initial" and initial is None:
        raise InputError(
            f"method {settings.method} begins with initial weights, but only a trained network is given: pass initial, "
            "or start = 'trained'"
        )
    activity, timed = None, "step-time" in settings.limits
    if timed and chip is not None:
        samples = chip_samples(data)
        activity = simulate(program_on(graph, samples, chip), samples, progress=progress)
    measured = measure(dense, graph, data, chip, timed_on=(settings.cores or 0) if timed else None)
    before = Before(
        settings=settings,
        strategy=strategy,
        source=str(source),
        dense=measured.cost,
        dense_correct=measured.correct,
        most_frequent=most_frequent(data.test.labels),
        prunable=prunable.count,
        total=prunable.total,
        activity=activity,
    )
    keeping = None
    if folder is not None and source is not None:
        pruned = load_checkpoint(source)
        earlier = pruned.history if strategy.start == "trained" else ()
        keeping = Keeping(folder, pruned.model, "compress", earlier, from_start=True, weights=pruned.weights)
    begun = dense if strategy.start == "trained" or initial is None else duplicate(initial)
    course = Course(data, before, keeping, False, algorithm, neurons, chip, progress, observers)
    return course.prune(begun, graph, prunable)


def resume_compress(
    module: nn.Module,
    data: Dataset,
    folder: Path,
    checkpoint: Checkpoint,
    asked: Mapping[str, Any] = MappingProxyType({}),
    tuning: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress = silent,
    *,
    algorithm: Algorithm | None = None,
    neurons: Sequence[NeuronModel] | None = None,
    chip: Chip | str | None = None,
    observers: Sequence[Observer] = (),
) -> CompressResult:
    """Go on with the compression that was interrupted in `folder`, to the numbers of an unbroken one.

    module, checkpoint: its network, restored from the checkpoint there. asked, tuning: settings by name, of the
    compression and of its fine-tuning, that it must have been started with; the device may be another.
    algorithm, neurons, chip, observers: as it was started with. Raises InputError when it was not, or when there is
    nothing to resume; OutputError when `folder` cannot be written.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from neuroprune import CompressSettings, TrainSettings, build, compress, load_checkpoint, load_dataset
    >>> from neuroprune import load_recipe, restore, resume_compress, train
    >>> data, recipe = load_dataset("digits"), load_recipe("digits-conv")
    >>> network, short = build(recipe, data.input_shape, len(data.classes)), TrainSettings(epochs=1, batch=256)
    >>> def interrupt(task, done, total, **figures):
    ...     if task == "training":
    ...         raise KeyboardInterrupt
    >>> with TemporaryDirectory() as place:
    ...     dense, folder = Path(place, "dense"), Path(place, "pruned")
    ...     network = train(network, data, short, dense, recipe).module
    ...     settings = CompressSettings(flops=0.5, method="slimming", fine_tune=short)
    ...     try:
    ...         compress(network, data, settings, interrupt, folder=folder, source=dense)
    ...     except KeyboardInterrupt:
    ...         checkpoint = load_checkpoint(folder)
    ...         result = resume_compress(restore(checkpoint), data, folder, checkpoint)
    >>> f"{result.targets[0].reached:.1f}"
    '0.5'
    """
    kept = read_unfinished(folder)
    if kept.command != "compress":
        raise InputError(
            f"the run in {folder} was started by `neuroprune {kept.command}`, not by compress: resume it with "
            f"`neuroprune {kept.command} --resume {folder}`"
        )
    with reading(folder / STATE, "the state of a compression", "compress without --resume"):
        before, cut = read_kept(kept.observers["compress"])
    # A compression that was killed while it began to fine-tune has a checkpoint from before the cut.
    load_tensors(module, kept.module)
    settings = before.settings
    assert settings.fine_tune is not None, "a state is kept by a training"
    data = hold_out(data, settings.fine_tune.validation)
    given = {name: value for name, value in vars(settings).items() if value is not None}
    started = {**vars(settings.fine_tune), **vars(settings), **vars(before.strategy), **given}
    for name, value in {**asked, **tuning}.items():
        if name != "device" and value != started[name]:
            raise InputError(
                f"this compression was started with {name} = {started[name]}, but resuming asks for {value}: give the "
                "same settings, or compress without --resume"
            )
    device = tuning.get("device", settings.fine_tune.device)
    settings = replace(settings, fine_tune=replace(settings.fine_tune, device=device))
    before = replace(before, settings=settings)
    module.eval().to(pick_device(device))
    keeping = Keeping(folder, checkpoint.model, "compress", kept.earlier, from_start=True, weights=checkpoint.weights)
    chip = same_chip(before.dense.on_chip, chip)
    algorithm = pick_algorithm(settings.method, settings.kind, algorithm)
    course = Course(data, before, keeping, True, algorithm, neurons, chip, progress, observers)
    graph = course.trace_pruned(module)
    if cut is not None:
        return course.fine_tune(module, graph, cut)
    return course.prune(module, graph, find_prunable(module, graph, before.strategy))
