"""Reads a NIR file into plain data: nodes by name, each with its numbers, and edges.

The file is HDF5 as `nir.write` makes it. It is not trusted: HDF5 can declare more than it holds, name other files, and
hold data behind any filter. So a field is read only where its bytes lie in the file, behind no other filters than nir
uses, and the sizes that it declares are counted before memory is taken for them. Nested graphs are flattened: node
"lif" of graph "rnn" is "rnn/lif".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from neuroprune.errors import InputError
from neuroprune.excerpts import capped, excerpt
from neuroprune.hdf5_text import REFERENCE, heap_text
from neuroprune.reading import reading, size_of

Array = npt.NDArray[Any]

MOST_BYTES = 1 << 32
"""Of all arrays together, unpacked; a choice: as many parameters as a recipe may have, in float32."""
MOST_NODES = 10_000
MOST_EDGES = 40_000
DEEPEST = 8
"""Graphs in graphs."""
LONGEST_TEXT = 200
FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
REMEDY = "export it again with nir.write"

FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
    "Conv1d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "Conv2d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "Scale": ("scale",),
    "I": ("r",),
    "LI": ("tau", "r", "v_leak"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "IF": ("r", "v_threshold", "v_reset"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
"""The kinds of nodes that are read, and what of them."""

OPTIONAL = {"shape", "v_reset", "w_in", "bias"}

REFUSED = {
    "Delay": "delays the spikes of its neurons, and a network's layers here have none: leave it out and train again",
    "Threshold": "fires without a state or a reset, while neurons of the chip keep their voltage and reset it: use a "
    "LIF or an IF",
}
"""Kinds of nodes that nothing here can stand for, and why."""


@dataclass(frozen=True, eq=False)
class NirNode:
    """A node: its path in the file, its kind, its arrays as they are stored, and its texts, as a padding "same"."""

    name: str
    kind: str
    arrays: Mapping[str, Array]
    texts: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class NirFile:
    """The nodes by name and the edges of a file; metadata: the texts and numbers that its writer added to the whole."""

    nodes: Mapping[str, NirNode]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, str | float]


def read_file(path: Path) -> NirFile:
    """What the NIR file at `path` holds. Raises InputError where it is not whole, too large, or has unknown nodes."""
    with reading(path, "a whole NIR file", "name a file that nir.write wrote"):
        size_of(path)
        with h5py.File(path, "r") as file:
            made = file.id.get_create_plist()
            if made.get_sizes() != (8, 8) or made.get_userblock() != 0:
                raise ValueError("it is laid out in a way that nir.write does not write")
            reader = _Reader(path)
            root = reader.group(file, "node", "the file")
            kind = reader.text(root, "type", "its root")
            if kind != "NIRGraph":
                raise InputError(f"{path} holds a single {excerpt(kind)}, which is no network: write a NIRGraph")
            reader.graph(root, "", 0)
            return NirFile(reader.nodes, tuple(sorted(reader.edges)), reader.metadata(root))


class _Reader:
    """Collects nodes and edges; counts what was declared so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nodes: dict[str, NirNode] = {}
        self.edges: set[tuple[str, str]] = set()
        self.left = MOST_BYTES

    def graph(self, group: h5py.Group, prefix: str, depth: int) -> None:
        """The nodes and edges of a graph whose nodes are called `prefix` and their name."""
        if depth > DEEPEST:
            raise ValueError("graphs are nested too deeply")
        place = f"graph {prefix[:-1]}" if prefix else "the file"
        members = self.group(group, "nodes", place)
        if len(self.nodes) + len(members) > MOST_NODES:
            raise ValueError(f"it has more than {MOST_NODES} nodes")
        kinds: dict[str, str] = {}
        for name in members:
            if not isinstance(name, str) or len(name) > LONGEST_TEXT or not name.isprintable():
                raise ValueError(f"{place} has a node whose name is no short text")
            node = self.group(members, name, place)
            kinds[name] = self.text(node, "type", f"node {prefix}{name}")
            if kinds[name] == "NIRGraph":
                self.graph(node, f"{prefix}{name}/", depth + 1)
            else:
                self.nodes[f"{prefix}{name}"] = self.node(node, f"{prefix}{name}", kinds[name])
        for source, target in self.pairs(group, place):
            for end in (source, target):
                if end not in kinds:
                    raise ValueError(f"{place} has an edge of node {excerpt(end)}, which is not there")
            self.edges.add((self.end(prefix, source, kinds, "Output"), self.end(prefix, target, kinds, "Input")))

    def end(self, prefix: str, name: str, kinds: Mapping[str, str], kind: str) -> str:
        """The node that an edge reaches: of a nested graph, its only one of `kind`."""
        if kinds[name] != "NIRGraph":
            return f"{prefix}{name}"
        inner = f"{prefix}{name}/"
        found = [each for each, node in self.nodes.items() if node.kind == kind and each.startswith(inner)]
        found = [each for each in found if "/" not in each[len(inner) :]]
        if len(found) != 1:
            raise ValueError(f"graph {prefix}{name} has {len(found)} nodes of kind {kind}, and one is needed")
        return found[0]

    def node(self, group: h5py.Group, name: str, kind: str) -> NirNode:
        """Raises ValueError for a kind that is not read."""
        place = f"node {capped(name)}"
        if kind in REFUSED:
            raise InputError(f"{self.path}: {place} is a {kind}, which {REFUSED[kind]}")
        if kind not in FIELDS:
            raise InputError(
                f"{self.path}: {place} is of kind {excerpt(kind)}, which is not among those that are read "
                f"({', '.join(FIELDS)}): replace it"
            )
        arrays, texts = {}, {}
        for field in FIELDS[kind]:
            if field not in group and field in OPTIONAL:
                continue
            data = self.dataset(group, field, place)
            if field == "padding" and h5py.check_string_dtype(data.dtype) is not None:
                texts[field] = self.text(group, field, place)
            else:
                arrays[field] = self.numbers(data, field, place)
        metadata = self.metadata(group)
        texts |= {f"metadata/{key}": value for key, value in metadata.items() if isinstance(value, str)}
        return NirNode(name, kind, arrays, texts)

    def metadata(self, group: h5py.Group) -> dict[str, str | float]:
        """Texts and single numbers that its writer added to a node."""
        found: dict[str, str | float] = {}
        if "metadata" not in group:
            return found
        added = self.group(group, "metadata", "a node")
        for key in list(added)[:100]:
            if not isinstance(added.get(key, getclass=True), type) or added.get(key, getclass=True) is not h5py.Dataset:
                continue
            data = self.dataset(added, key, "metadata")
            if h5py.check_string_dtype(data.dtype) is not None and data.shape == ():
                found[key] = self.text(added, key, "metadata")
            elif data.dtype.kind in "biuf" and data.shape == ():
                found[key] = float(self.numbers(data, key, "metadata"))
        return found

    def group(self, group: h5py.Group, name: str, place: str) -> h5py.Group:
        found = self._member(group, name, place)
        if not isinstance(found, h5py.Group):
            raise ValueError(f"{place} has a field {name!r} that is no group")
        return found

    def dataset(self, group: h5py.Group, name: str, place: str) -> h5py.Dataset:
        """Its sizes are counted, and its bytes lie in this file."""
        data = self._member(group, name, place)
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise ValueError(f"{place} has a field {name!r} that is no array")
        created = data.id.get_create_plist()
        filters = {created.get_filter(index)[0] for index in range(created.get_nfilters())}
        if data.is_virtual or data.external or not filters <= FILTERS:
            raise ValueError(
                f"{place} has a field {name!r} that lies elsewhere or is packed in another way than nir does"
            )
        chunk = int(np.prod(data.chunks, dtype=object)) if data.chunks else 0
        self.left -= max(data.size, chunk) * data.dtype.itemsize
        if self.left < 0:
            raise ValueError(f"with {place} its arrays take more than the {MOST_BYTES} bytes that are read")
        return data

    def numbers(self, data: h5py.Dataset, field: str, place: str) -> Array:
        """Finite numbers, of any shape."""
        if data.dtype.kind not in "biuf":
            raise ValueError(f"{place} has a field {field!r} that holds no numbers")
        values = np.asarray(data[()])
        if not np.isfinite(values).all():
            raise InputError(
                f"{self.path}: {place} has values in {field!r} that are not finite numbers: correct them, or train "
                "again"
            )
        return values

    def text(self, group: h5py.Group, name: str, place: str) -> str:
        """A single string."""
        data = self.dataset(group, name, place)
        if data.shape != ():
            raise ValueError(f"{place} has a field {name!r} that is no single text")
        return self._strings(data, name, place)[0]

    def pairs(self, group: h5py.Group, place: str) -> list[tuple[str, str]]:
        """The edges of a graph."""
        data = self.dataset(group, "edges", place)
        if data.size == 0:
            return []
        if data.ndim != 2 or data.shape[1] != 2 or len(data) > MOST_EDGES:
            raise ValueError(
                f"{place} has edges of shape {tuple(data.shape)}, which are no {MOST_EDGES} pairs or fewer"
            )
        flat = self._strings(data, "edges", place)
        return list(zip(flat[::2], flat[1::2], strict=True))

    def _strings(self, data: h5py.Dataset, name: str, place: str) -> list[str]:
        info = h5py.check_string_dtype(data.dtype)
        raw: list[bytes | None] = []
        if info is not None and info.length is not None:
            raw = [bytes(each) for each in np.asarray(data[()]).reshape(-1)]
        elif info is not None and (offset := data.id.get_offset()) is not None:
            size = REFERENCE.size
            raw = [heap_text(self.path, offset + size * index, LONGEST_TEXT) for index in range(data.size)]
        texts = [each.decode("utf-8", errors="replace") for each in raw if each is not None]
        if not texts or len(texts) < data.size or not all(text.isprintable() for text in texts):
            raise ValueError(f"{place} has a field {name!r} that is no short text")
        return texts

    def _member(self, group: h5py.Group, name: str, place: str) -> Any:
        if name not in group:
            raise ValueError(f"{place} has no field {name!r}")
        if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{place} has a field {name!r} that only names another place or file")
        return group[name]
