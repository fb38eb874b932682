"""From an integer program to a measured deployment: mapped, run, held against Lava, written and reported."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import NamedTuple

from torch import nn

from neuroprune.arrays import FramesLike, Labels
from neuroprune.chips.chip import Chip
from neuroprune.errors import InputError, VerificationError
from neuroprune.exchange.format import ExchangeFormat, Programs
from neuroprune.graph.float_program import FloatProgram
from neuroprune.graph.nodes import Graph
from neuroprune.graph.readout import accuracy, class_scores, most_frequent
from neuroprune.mapping.budget import NO_LIMIT, Budget, check_budget
from neuroprune.mapping.catalog import Optimize, Placement
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.exchange import exchange
from neuroprune.mapping.map import pack_for_time, pack_for_traffic, pack_program
from neuroprune.mapping.pace import time_model
from neuroprune.mapping.place import place
from neuroprune.mapping.regroup import regroup
from neuroprune.mapping.traffic import Traffic, measure_traffic
from neuroprune.mapping.types import ChipMapping, Packing
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.bounds import layer_bounds
from neuroprune.program.frames import quantize_input
from neuroprune.program.timing import balance
from neuroprune.program.types import IntProgram
from neuroprune.progress import Progress
from neuroprune.quantization.errors import rounding_errors
from neuroprune.report.advice import advice_on
from neuroprune.report.bound import bound_of
from neuroprune.report.html.report_page import write_report_html
from neuroprune.report.measure import measure
from neuroprune.report.pace import step_ns, work_of
from neuroprune.report.provenance import Provenance
from neuroprune.report.schema import ExchangeRemark, LavaCheck, Report, save_report
from neuroprune.report.tables import write_tables
from neuroprune.report.traffic import placed
from neuroprune.report.zeros import map_zeros_stored
from neuroprune.sanafe.export import NETWORK_FILE, check_sanafe, write_sanafe
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.ladder import Accuracies, ChangedSpikes, accuracy_ladder, changed_spikes
from neuroprune.simulation.lava_process import LavaWorker
from neuroprune.simulation.types import Trace
from neuroprune.simulation.verification import LavaSettings, verify_with_lava
from neuroprune.stage_clock import StageClock
from neuroprune.version import __version__

REPORTED_PACKAGES = ("torch", "spikingjelly", "numpy", "lava-nc")


@dataclass(frozen=True, eq=False)
class Deployment:
    """What each stage of a deployment produced.

    graph, floats: the network as traced and folded, None where a finished program was deployed. program: the integers
    that it was quantised to; balanced: the same program with relays, the one that `mapping` and `trace` are of.
    report: all measures of it.
    """

    graph: Graph | None
    floats: FloatProgram | None
    program: IntProgram
    balanced: IntProgram
    mapping: ChipMapping
    trace: Trace
    report: Report


class UnverifiedDeployment(VerificationError):
    """A deployment that is whole, and written where it should be, but that Lava differs from or did not finish.

    deployment: all that `deploy` would have returned; `deployment.report.lava` says how much was compared and what
    differs or failed, and so does the message.

    >>> from neuroprune import (
    ...     LavaSettings, UnverifiedDeployment, build, deploy, frames_of, load_dataset, load_recipe
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> try:
    ...     deploy(network, frames, lava=LavaSettings(timeout_s=0.001))
    ... except UnverifiedDeployment as error:
    ...     error.deployment.report.lava.samples, error.deployment.report.totals.neurons
    (0, 4618)
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        super().__init__(f"{deployment.report.lava.unverified}; all else is done, and its report says so")


@dataclass(frozen=True, eq=False)
class Job:
    """The samples that a program is run on, how it is run, and its names in the report: see `deploy`."""

    frames: FramesLike
    labels: Labels | None
    network: str
    data: str | None
    seed: int | None
    lava: LavaSettings
    folder: Path | None
    formats: Sequence[ExchangeFormat]
    device: str
    progress: Progress
    provenance: Provenance | None
    effort: EffortName = "normal"
    optimize: Optimize = "cores"
    placement: Placement = "search"
    budget: Budget = NO_LIMIT
    exports: Sequence[str] = ()
    date: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    clock: StageClock = field(default_factory=StageClock)


@dataclass(frozen=True, eq=False)
class FloatReference:
    """The float reference of an integer program: the network as trained, traced, folded, and as it was rounded.

    rounded: differs from `folded` where fine-tuning changed the weights.
    """

    module: nn.Module
    graph: Graph
    folded: FloatProgram
    rounded: FloatProgram


def check_outputs(program: IntProgram, path: Path, classes: int, data: str) -> None:
    """Raise InputError unless the program of the file `path` has an output for each of the `classes` of `data`."""
    outputs = prod(program.layers[-1].shape) // program.readout.votes
    if outputs < classes:
        raise InputError(
            f"{path} has an output for each of {outputs} classes, but data set {data} has {classes} of them: name the "
            "data that it was trained on"
        )


def run_program(
    program: IntProgram,
    chip: Chip,
    job: Job,
    worker: LavaWorker | None,
    reference: FloatReference | None = None,
    remarks: tuple[ExchangeRemark, ...] = (),
) -> Deployment:
    """Pack, simulate, place, verify and measure `program`: what does not fit fails before anything runs."""
    stage = job.clock.stage
    if job.optimize == "time":
        time_model(chip)  # where there is none, nothing runs
    with stage("map"):
        balanced = balance(program, chip.synaptic_delay_max)
        fewest = job.optimize == "cores"
        # For traffic it only has to fit: tiles are sought when spikes are known.
        quick = job.optimize == "traffic" and job.budget == NO_LIMIT
        packing = pack_program(balanced, chip, "layers" if quick else job.effort, job.progress)
        check_budget(packing, chip, job.budget)
        if job.exports:
            check_sanafe(balanced, chip)
        # What would change is compared with the fewest cores.
        zeros = map_zeros_stored(balanced, chip, job.effort) if fewest else None
        advice = advice_on(balanced, place(packing, chip), chip, job.effort) if fewest else ()
    with stage("simulate"):
        activity = simulate(balanced, job.frames, device=job.device, progress=job.progress)
    with stage("place"):
        packing, traffic, mapping = _mapped(balanced, packing, activity, chip, job)
        verify_mapping(mapping, balanced, chip)
    with stage("Lava"):
        events, _ = quantize_input(program.input, job.frames[: job.lava.samples])
        check = verify_with_lava(worker, balanced, events, job.lava, job.progress)
    with stage("compare"):
        ladder, changed = _ladder(program, activity, job, reference)
        bounds = layer_bounds(balanced)
        rounding = rounding_errors(reference.rounded, program) if reference is not None else None
    if job.folder is not None:
        with stage("write"):
            remarks += _write(Programs(program, reference.folded if reference else None), job.folder, job.formats)
            if job.exports:
                (frame,), _ = quantize_input(program.input, job.frames[:1])
                texts = write_sanafe(balanced, mapping, chip, frame, job.folder)
                remarks += tuple(ExchangeRemark(file=NETWORK_FILE, text=text) for text in texts)
    report = measure(
        balanced,
        mapping,
        activity,
        chip,
        network=job.network,
        data=job.data,
        accuracy=ladder,
        lava=LavaCheck.model_validate(check, from_attributes=True),
        exchange_remarks=remarks,
        versions=_versions(),
        seed=job.seed,
        bounds=bounds,
        rounding=rounding,
        changed=changed,
        zeros=zeros,
        bound=bound_of(balanced, packing, chip, job.effort),
        traffic=traffic,
        advice=advice,
        date=job.date,
        durations_s=job.clock.seconds,
        provenance=job.provenance,
    )
    if job.folder is not None:
        write_tables(report, job.folder)
        write_report_html(report, job.folder / "report.html")
        save_report(report, job.folder / "report.json")
    graph, floats = (reference.graph, reference.folded) if reference is not None else (None, None)
    deployment = Deployment(graph, floats, program, balanced, mapping, activity, report)
    if check.error is not None:
        raise UnverifiedDeployment(deployment) from check.error
    return deployment


class _Mapped(NamedTuple):
    """Tiles on cores, what these tiles send to each other, and the places of the cores."""

    packing: Packing
    traffic: Traffic
    mapping: ChipMapping


def _mapped(program: IntProgram, packing: Packing, trace: Trace, chip: Chip, job: Job) -> _Mapped:
    """`program` as `job` asks for, by the spikes of `trace`; packing: of it, which fits."""
    spikes = {layer.name: layer.spikes for layer in trace.layers}

    def placed_by(packing: Packing, *, together: bool = True) -> _Mapped:
        traffic = measure_traffic(program, packing, spikes, chip)
        if job.placement == "curve":
            return _Mapped(packing, traffic, place(packing, chip))
        tiles = regroup(packing, traffic, chip.core.resources) if together else packing
        if job.optimize == "traffic":
            return _Mapped(packing, traffic, exchange(tiles, traffic, chip, job.progress))
        return _Mapped(packing, traffic, place(tiles, chip, traffic))

    def hops(found: _Mapped) -> int:
        return placed(found.traffic, found.mapping, chip).hops

    if job.optimize == "traffic":
        quiet = pack_for_traffic(program, packing, spikes, chip, job.effort, job.budget, job.progress)
        return min(placed_by(packing), placed_by(quiet), key=hops)
    if job.optimize != "time":
        return placed_by(packing)
    work = work_of(program, trace, chip)
    paced = pack_for_time(program, packing, work, chip, job.effort, job.budget, job.progress)

    def step(found: _Mapped) -> float:
        return step_ns(program, found.mapping, found.traffic, trace, chip)

    return min(placed_by(packing), placed_by(paced, together=False), key=step)


def _write(programs: Programs, folder: Path, formats: Sequence[ExchangeFormat]) -> tuple[ExchangeRemark, ...]:
    """Write a file of each format that can hold one of `programs`; returns what the files cannot hold."""
    return tuple(
        ExchangeRemark(file=each.info.file, text=text)
        for each in formats
        if each.holds(programs)
        for text in each.write(programs, folder / each.info.file)
    )


def _ladder(
    program: IntProgram,
    activity: Trace,
    job: Job,
    reference: FloatReference | None,
) -> tuple[Accuracies, dict[str, ChangedSpikes] | None]:
    """Accuracy where there are labels, and changed spikes where there is a float reference."""
    if reference is None:
        if job.labels is None:
            return Accuracies(), None
        scores = class_scores(program.readout, activity.outputs)
        share, chance = accuracy(scores, job.labels), most_frequent(job.labels)
        return Accuracies(bit_accurate=share, most_frequent=chance), None
    folded = reference.folded
    changed = changed_spikes(folded, program, job.frames, job.device, job.progress)
    if job.labels is None:
        return Accuracies(), changed
    ladder = accuracy_ladder(reference.module, folded, program, job.frames, activity, job.labels, job.progress)
    return ladder, changed


def _versions() -> dict[str, str]:
    """Versions of the packages that the figures depend on, where they are installed."""
    versions = {"neuroprune": __version__}
    for package in REPORTED_PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
