"""Cores that the mapping problems of benchmarks/mapping take, beside their proven bounds and the best known results.

    python benchmarks/mapping.py [--effort high] [--problem vgg16 --problem resnet19] [--keep]

Each problem is mapped on loihi-sim layer by layer and, from its file anew, at the effort; the seconds are of packing.
The gap is that of the cores to the bound.
"""

import time
from datetime import UTC, datetime

import click
from mapping_problems import Best, Problem, problem_names, program_of, read_best, read_problem, write_best
from rich.console import Console
from rich.table import Table

from neuroprune import __version__, load_chip
from neuroprune.chips.chip import Chip
from neuroprune.chips.types import TileResources
from neuroprune.mapping.bounds import least_cores
from neuroprune.mapping.effort import EFFORTS, EffortName
from neuroprune.mapping.map import pack_program
from neuroprune.mapping.place import place
from neuroprune.mapping.types import Packing
from neuroprune.mapping.verify import verify_mapping
from neuroprune.mapping.ways import Cuts, cuts_of
from neuroprune.program.types import IntProgram

HEADINGS = ("problem", "layers", "neurons", "layer by layer", "s", "cores", "s", "bound", "gap", "best known")


def timed(program: IntProgram, chip: Chip, effort: EffortName) -> tuple[Packing, float]:
    began = time.perf_counter()
    return pack_program(program, chip, effort), time.perf_counter() - began


def cuts_of_packing(program: IntProgram, packing: Packing) -> Cuts:
    split: dict[str, list[TileResources]] = {layer.name: [] for layer in program.layers}
    for core in packing.cores:
        for use in core:
            split[use.tile.layer].append(use)
    return cuts_of(program.layers, split)


def result_of(program: IntProgram, packing: Packing, chip: Chip, bound: int, effort: str) -> Best:
    """Raises VerificationError where the mapping breaks a limit."""
    verify_mapping(place(packing, chip), program, chip)
    return Best(
        cores=len(packing.cores),
        bound=bound,
        date=datetime.now(UTC).date().isoformat(),
        how=f"neuroprune {__version__}, effort {effort}",
        cuts=cuts_of_packing(program, packing),
    )


def row_of(problem: Problem, chip: Chip, effort: EffortName, known: Best | None) -> tuple[list[str], Best | None]:
    """The problem's line, and its result where none as good was known."""
    program = program_of(problem)
    bound = least_cores(program, chip)
    found, seconds = alone, _ = timed(program, chip, "layers")
    row = [problem.name, str(len(problem.layers)), f"{problem.neurons:,}", str(len(alone.cores)), f"{seconds:.1f}"]
    if effort != "layers":
        program = program_of(problem)
        found, seconds = timed(program, chip, effort)
    cores = len(found.cores)
    better = known is None or cores < known.cores
    best = f"{known.cores if known else 'none'}{', this is better' if better else ''}"
    row += [str(cores), f"{seconds:.1f}", str(bound), f"{cores / bound - 1:.1%}", best]
    return row, result_of(program, found, chip, bound, effort) if better else None


@click.command(help=__doc__)
@click.option("--effort", type=click.Choice([each.name for each in EFFORTS]), default="normal", show_default=True)
@click.option("--problem", "names", multiple=True, type=click.Choice(problem_names()), help="by default all")
@click.option("--keep", is_flag=True, help="write results better than those known to benchmarks/mapping/best.json")
def main(effort: EffortName, names: tuple[str, ...], keep: bool) -> None:
    chip = load_chip("loihi-sim")
    table = Table(*HEADINGS)
    for name in names or problem_names():
        row, better = row_of(read_problem(name), chip, effort, read_best().results.get(name))
        table.add_row(*row)
        click.echo(" ".join(row), err=True)
        if keep and better:
            best = read_best()
            write_best(best.model_copy(update={"results": {**best.results, name: better}}))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
