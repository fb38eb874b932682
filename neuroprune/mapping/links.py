"""Which links of the mesh messages take: along x first and then along y (XY routing), as on Loihi."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.traffic import Messages, Numbers

Amounts = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Loads = dict[tuple[int, int], Amounts]
"""By the direction of links in x and y, what leaves each router by them: [x, y]."""


class Link(NamedTuple):
    """From one router to the next, in one direction: chip, x and y of both, and the messages that take it."""

    source: tuple[int, int, int]
    target: tuple[int, int, int]
    messages: int


def link_loads(mesh: Mesh, places: Numbers, sent: Messages) -> Loads:
    """Messages on every link; places: int64 [cores, 3], chip, x and y. sent: from core to core."""
    begin, end = mesh.position(places[sent.source]), mesh.position(places[sent.target])
    return loads_between(mesh.shape, begin, end, sent.spikes)


def loads_between(shape: tuple[int, int], begin: Numbers, end: Numbers, amounts: Amounts) -> Loads:
    """What every link of a mesh of `shape` carries if `amounts` [n] go from `begin` to `end`: int64 [2, n], x and y."""
    (x0, y0), (x1, y1) = begin, end
    columns, rows = shape
    along_x = [_loads(columns, rows, (x0, x1), y0, amounts, step) for step in (1, -1)]
    along_y = [_loads(rows, columns, (y0, y1), x1, amounts, step).T for step in (1, -1)]
    return dict(zip([(1, 0), (-1, 0), (0, 1), (0, -1)], [*along_x, *along_y], strict=True))


def heaviest_link(mesh: Mesh, places: Numbers, sent: Messages) -> Link | None:
    """The link that most messages take, None if none takes one; see `link_loads`."""
    loads = link_loads(mesh, places, sent)
    (dx, dy), load = max(loads.items(), key=lambda each: int(each[1].max()))
    x, y = (int(at) for at in np.unravel_index(int(load.argmax()), load.shape))
    if load[x, y] == 0:
        return None
    return Link(mesh.place(x, y), mesh.place(x + dx, y + dy), int(load[x, y]))


def _loads(size: int, lines: int, ends: tuple[Numbers, Numbers], line: Numbers, amounts: Amounts, step: int) -> Amounts:
    """[size, lines], what leaves each router by `step` along an axis of `size`, on their `line`.

    ends: where along the axis each message begins and ends; those that go the other way are left out. line: where each
    lies across it.
    """
    change = np.zeros((size + 1, lines), dtype=amounts.dtype)
    begin, end = ends
    goes = (end - begin) * step > 0
    low, high = (begin, end) if step > 0 else (end + 1, begin + 1)
    np.add.at(change, (low[goes], line[goes]), amounts[goes])
    np.subtract.at(change, (high[goes], line[goes]), amounts[goes])
    return change.cumsum(axis=0)[:size]
