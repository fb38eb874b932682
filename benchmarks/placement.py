"""Messages between cores and the hops they take, for several ways to place cores, by the spikes of a few samples.

    python benchmarks/placement.py [--recipe vgg16] [--samples 16] [--effort high] [--cores 476] [--data-dir data]

The recipes have random weights and BatchNorms that are re-estimated on the samples, so that neurons fire; frames are
the first test images. Figures are of a sample: messages to other cores, messages times hops, and the messages on the
heaviest link. Index order is row by row there and back, chip after chip. Where mtkahypar is installed, tiles are also
grouped by its partitioner for the connectivity metric; it balances one weight, so cores may exceed their limits.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from neuroprune import balance, build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, simulate, trace
from neuroprune.chips.chip import Chip
from neuroprune.mapping.budget import Budget
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.exchange import exchange
from neuroprune.mapping.hops import Spikes
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.links import heaviest_link
from neuroprune.mapping.map import pack_for_traffic, pack_program
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.regroup import nets, regroup
from neuroprune.mapping.search import search_places
from neuroprune.mapping.traffic import Messages, Numbers, Traffic, cores_of, measure_traffic, messages
from neuroprune.mapping.types import ChipMapping, Packing
from neuroprune.networks.batchnorm import reestimate_batchnorm
from neuroprune.program.types import IntProgram

HEADINGS = ("network", "tiles on cores", "places", "cores", "messages", "x hops", "link", "of index", "s")


def measured(recipe: str, samples: int, folder: Path | None, chip: Chip) -> tuple[IntProgram, Spikes]:
    torch.manual_seed(0)
    read = load_recipe(recipe)
    data = load_dataset(read.data, folder)
    network = build(read, data.input_shape, len(data.classes))
    frames = frames_of(data.test.images[:samples], data.coding)
    reestimate_batchnorm(network, torch.from_numpy(frames))
    program = quantize(fold(trace(network.eval(), torch.from_numpy(frames[:1]))), frames, chip)
    program = balance(program, chip.synaptic_delay_max)
    return program, {layer.name: layer.spikes for layer in simulate(program, frames).layers}


def index_order(mesh: Mesh, _: Messages, cores: int) -> Numbers:
    places = row_by_row(mesh, _, cores)
    there = places[:, 2] % 2 == 1
    places[there, 1] = mesh.chip.mesh[0] - 1 - places[there, 1]
    return places


def row_by_row(mesh: Mesh, _: Messages, cores: int) -> Numbers:
    columns, rows = mesh.chip.mesh
    chip, at = np.divmod(np.arange(cores), columns * rows)
    y, x = np.divmod(at, columns)
    return np.column_stack([chip, x, y])


def curve(mesh: Mesh, _: Messages, cores: int) -> Numbers:
    return mesh.places[:cores]


def search(mesh: Mesh, sent: Messages, cores: int) -> Numbers:
    return mesh.places[search_places(sent.matrix(cores), mesh)]


def as_mapped(mapping: ChipMapping) -> Callable[[Mesh, Messages, int], Numbers]:
    def exchanged(mesh: Mesh, _: Messages, cores: int) -> Numbers:
        return np.array([(core.chip, core.x, core.y) for core in mapping.cores])

    return exchanged


def partitioned(packing: Packing, traffic: Traffic, chip: Chip) -> Packing | None:
    """The tiles in as many groups, by mt-kahypar; a tile weighs its largest share of a limit, in 1/1000."""
    try:
        import mtkahypar
    except ImportError:
        return None
    kahypar = mtkahypar.initialize(1)
    mtkahypar.set_seed(0)
    use_of = {use.tile: use for core in packing.cores for use in core}
    limits = np.array([resource.limit for resource in chip.core.resources])
    shares = [int(1000 * (np.array(use_of[tile].used) / limits).max()) for tile in traffic.tiles]
    spikes, members = nets(traffic)
    edges = np.split(members.indices, members.indptr[1:-1])
    context = kahypar.context_from_preset(mtkahypar.PresetType.DEFAULT)
    context.set_partitioning_parameters(len(packing.cores), 0.05, mtkahypar.Objective.KM1)
    context.logging = False
    graph = kahypar.create_hypergraph(
        context, len(shares), len(edges), [edge.tolist() for edge in edges], shares, spikes.astype(int).tolist()
    )
    block = graph.partition(context).get_partition()
    groups: dict[int, list[int]] = {}
    for tile, number in enumerate(block):
        groups.setdefault(number, []).append(tile)
    return Packing(tuple(tuple(use_of[traffic.tiles[tile]] for tile in group) for group in groups.values()))


def too_full(packing: Packing, chip: Chip) -> int:
    used = [tuple(map(sum, zip(*(use.used for use in core), strict=True))) for core in packing.cores]
    return sum(exceeded(each, chip.core.resources) is not None for each in used)


@click.command(help=__doc__)
@click.option("--recipe", "recipes", multiple=True, default=("fashion-conv", "vgg16"), show_default=True)
@click.option("--samples", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path))
@click.option("--effort", type=click.Choice(["normal", "high"]), default="normal", show_default=True)
@click.option("--cores", "most", multiple=True, type=int, help="for few hops; by default as layer by layer")
def main(
    recipes: tuple[str, ...], samples: int, data_dir: Path | None, effort: EffortName, most: tuple[int, ...]
) -> None:
    chip = load_chip("loihi-sim")
    table = Table(*HEADINGS)
    for recipe in recipes:
        program, spikes = measured(recipe, samples, data_dir, chip)
        alone = pack_program(program, chip, "layers")
        ways = [("layer by layer", alone, way) for way in (index_order, row_by_row, curve, search)]
        began = time.perf_counter()
        fewest = pack_program(program, chip, effort)
        name = f"fewest cores, {time.perf_counter() - began:.0f} s"
        ways += [(name, regroup(fewest, measure_traffic(program, fewest, spikes, chip), chip.core.resources), search)]
        for cores in most or (len(alone.cores),):
            began = time.perf_counter()
            quiet = pack_for_traffic(program, fewest, spikes, chip, effort, Budget(cores=cores))
            name = f"traffic, {time.perf_counter() - began:.0f} s"
            traffic = measure_traffic(program, quiet, spikes, chip)
            ways += [(name, quiet, way) for way in (curve, search)]
            began = time.perf_counter()
            mapping = exchange(regroup(quiet, traffic, chip.core.resources), traffic, chip)
            name_of_both = f"{name}, regrouped, exchanged, {time.perf_counter() - began:.1f} s"
            ways += [(name_of_both, Packing(tuple(core.tiles for core in mapping.cores)), as_mapped(mapping))]
            theirs = partitioned(quiet, traffic, chip)
            if theirs is not None:
                ways.append((f"traffic, mt-kahypar, {too_full(theirs, chip)} too full", theirs, search))
        first = 0
        for name, packed, way in ways:
            traffic = measure_traffic(program, packed, spikes, chip)
            cores = len(packed.cores)
            mesh, sent = Mesh(chip, -(-cores // chip.cores_per_chip)), messages(traffic, cores_of(packed, traffic))
            began = time.perf_counter()
            places = way(mesh, sent, cores)
            seconds = time.perf_counter() - began
            hops = int((mesh.hops(places[sent.source], places[sent.target]) * sent.spikes).sum())
            first = first or hops
            away, link = int(sent.spikes[sent.source != sent.target].sum()), heaviest_link(mesh, places, sent)
            figures = [f"{of / samples:,.0f}" for of in (away, hops, link.messages if link else 0)]
            table.add_row(
                recipe, name, way.__name__, str(cores), *figures, f"{hops / max(1, first):.2f}", f"{seconds:.1f}"
            )
        table.add_section()
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
