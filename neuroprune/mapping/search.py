"""Places for cores at which their messages take few hops: local search on exact gains, with annealing.

A move puts a core at another place, and the core that lies there, if any, in its stead. The change of all messages
times hops is exact and known at once for every place that a core can go to, since `Places.reach` has, for each core and
place, what the core's messages would cost there; a move changes it for the cores that talk to the two alone.

Each step takes one core and draws its new place from all with the chance exp(-change / temperature), as Gibbs sampling
does; so there are no proposals that are refused (Kirkpatrick et al. 1983 for annealing). The last sweeps take the best
place of each core until nothing is gained.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.traffic import Numbers

SWEEPS = 10
"""Of all cores while the temperature falls."""
HOTTEST, COLDEST = 0.1, 0.005
"""Temperatures, in the mean cost of a core at the start."""


def search_places(between: csr_array, mesh: Mesh, seed: int = 0) -> Numbers:
    """int64 [cores], the number of the place of `mesh` for each core, better than or as good as one after the other.

    between: int64 [cores, cores], messages from each to each. Deterministic for each seed.
    """
    rng = np.random.default_rng(seed)
    places = Places(between, mesh)
    best, least = places.at.copy(), places.cost
    heat = places.cost / max(1, places.cores)
    for temperature in heat * np.geomspace(HOTTEST, COLDEST, SWEEPS):
        places.sweep(temperature, rng)
    if places.cost > least:
        places = Places(between, mesh, best)
    places.settle()
    return places.at


class Places:
    """Where cores lie. Float64 holds all costs exactly: they are whole numbers far below 2**53.

    at: int64 [cores], the place of each. on: int64 [places], the core at each, or the number of cores where none is.
    reach: float64 [cores + 1, places], the cost of each core's messages if it lay at a place and all others as they do;
    the last row is of no core.
    """

    def __init__(self, between: csr_array, mesh: Mesh, at: Numbers | None = None) -> None:
        both = csr_array(between + between.T).astype(np.float64)
        both.setdiag(0)
        both.eliminate_zeros()
        self.cores, places = both.shape[0], len(mesh.places)
        self.neighbours = [both.indices[a:b] for a, b in pairwise(both.indptr)]
        self.messages = [both.data[a:b] for a, b in pairwise(both.indptr)]
        self.position = mesh.position(mesh.places).astype(np.float64)
        self.at = np.arange(self.cores) if at is None else at
        self.on = np.full(places, self.cores)
        self.on[self.at] = np.arange(self.cores)
        self.reach = np.zeros((self.cores + 1, places))
        self.reach[:-1] = both @ self.distances(self.at)
        self.everywhere = np.arange(places)

    @property
    def cost(self) -> float:
        """All messages times hops."""
        return float(self.reach[np.arange(self.cores), self.at].sum() / 2)

    def distances(self, to: Numbers) -> npt.NDArray[np.float64]:
        """float64 [to, places], hops."""
        x, y = self.position
        return np.asarray(np.abs(x - x[to, None]) + np.abs(y - y[to, None]))

    def sweep(self, temperature: float, rng: np.random.Generator) -> None:
        """A step of every core, in random order; temperature: in messages times hops, above 0."""
        for core in rng.permutation(self.cores):
            change = self.changes(core)
            self.move(core, int(np.argmin(change - temperature * rng.gumbel(size=change.size))))

    def settle(self) -> None:
        """The best place for each core, until no move of one gains anything."""
        while sum(self.improve(core) for core in range(self.cores)):
            pass

    def changes(self, core: int) -> npt.NDArray[np.float64]:
        """float64 [places], by how much the cost changes if the core at a place and `core` change theirs."""
        here = int(self.at[core])
        own = self.reach[core]
        change = own - own[here] + self.reach[self.on, here] - self.reach[self.on, self.everywhere]
        there = self.at[self.neighbours[core]]
        change[there] += 2 * self.messages[core] * self.distances(np.array([here]))[0, there]
        change[here] = 0
        return np.asarray(change)

    def move(self, core: int, place: int) -> None:
        """`core` to `place`, and what lies there to where it was."""
        here, other = int(self.at[core]), int(self.on[place])
        if here == place:
            return
        nearer = np.subtract(*self.distances(np.array([place, here])))
        self.reach[self.neighbours[core]] += self.messages[core][:, None] * nearer
        self.at[core], self.on[place], self.on[here] = place, core, other
        if other < self.cores:
            self.reach[self.neighbours[other]] -= self.messages[other][:, None] * nearer
            self.at[other] = here

    def improve(self, core: int) -> bool:
        """Move `core` to the best place, if that is better than where it lies."""
        change = self.changes(core)
        best = int(change.argmin())
        if change[best] >= 0:
            return False
        self.move(core, best)
        return True
