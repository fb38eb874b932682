"""Puts the weights of somebody's file into a network: finds which tensors are whose, and checks that they fit."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from spikingjelly.activation_based import base
from torch import nn

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.training.checkpoint import WeightsFacts
from neuroprune.training.tensors import Tensors
from neuroprune.training.weight_files import Part, read_parts

WRAPPERS = frozenset(("module", "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"))
"""Parts of a name that say how a network was run: in parallel, compiled, in pieces, in containers of clock_driven."""

COUNTERS = frozenset(("num_batches_tracked", "total_ops", "total_params"))
"""Tensors that no output depends on: batches that a BatchNorm has seen, and what the profiler thop has counted."""

MOST_NAMED = 3
"""Names that a sentence has room for."""
DEEPEST = 32
"""Levels of a name that a prefix may have."""


@dataclass(frozen=True)
class LoadedWeights:
    """What was put into a network.

    path: the file; sha256: of its bytes, hexadecimal. part: the keys that lead to its dictionary of tensors. prefix:
    what names there begin with and those of the network do not. tensors: their number. unused: names in the file that
    no output depends on.
    """

    path: Path
    sha256: str
    part: tuple[str, ...]
    prefix: str
    tensors: int
    unused: tuple[str, ...]

    @property
    def facts(self) -> WeightsFacts:
        """What a checkpoint keeps of it."""
        return WeightsFacts(self.path.name, self.sha256)

    @property
    def title(self) -> str:
        """What was taken, for people."""
        where = f" under {capped('.'.join(self.part), 60)}" if self.part else ""
        without = f", named without {capped(self.prefix, 60)}" if self.prefix else ""
        unused = f"; {_listed(self.unused)} left out, on which no output depends" if self.unused else ""
        return f"{self.tensors} tensors of {capped(self.path.name)}{where}{without}{unused}"


class _Names(NamedTuple):
    """The network's names by what they may be called in a file, without what stands before all of them.

    wrappers: parts of names that do not count.
    """

    keys: Mapping[str, str]
    wrappers: frozenset[str]

    def plain(self, name: str) -> str:
        """`name` without the wrappers."""
        return ".".join(part for part in name.split(".") if part not in self.wrappers)


class _Match(NamedTuple):
    """Tensors of a part by their names in the network.

    prefix: as of LoadedWeights. left: names that the network has no place for. alike: how many have its shapes.
    """

    part: Part
    prefix: str
    names: Mapping[str, str]
    left: Sequence[str]
    alike: int


def load_weights(module: nn.Module, path: Path) -> LoadedWeights:
    """Put the weights in the file `path`, of whatever program, into `module`, in place.

    path: a state dict written with torch.save, as it is or somewhere in dictionaries and lists, or a safetensors file.
    Nothing of a file is run. Of several dictionaries, and of what could stand before the names in it, is taken what has
    the most tensors of the network in their shapes; of equals the first. Floats of any width become the network's.
    Tensors that no output depends on may be missing or left over: counts of batches and operations, and what a neuron
    of SpikingJelly's remembers, which each sample begins without.
    Raises InputError, before anything is changed, for a file that cannot be read so, for names that are missing or left
    over, other shapes, values that are not finite, and whole numbers in place of floats.

    >>> import tempfile
    >>> import torch
    >>> from pathlib import Path
    >>> from neuroprune import build, load_recipe, load_weights
    >>> network, other = (build(load_recipe("digits-conv"), (1, 8, 8), 10, seed) for seed in (0, 1))
    >>> tensors = {f"module.{name}": tensor for name, tensor in other.state_dict().items()}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"epoch": 7, "net": tensors}, Path(folder, "best.pth"))
    ...     load_weights(network, Path(folder, "best.pth")).title
    '20 tensors of best.pth under net'
    >>> torch.equal(network.stem.conv1.weight, other.stem.conv1.weight)
    True
    """
    own = {name: tensor for name, tensor in module.state_dict().items() if isinstance(tensor, torch.Tensor)}
    network = f"network {type(module).__name__}"
    if not own:
        raise InputError(f"{network} has 0 tensors, so no weights can be put into it: name one that has layers")
    known = _names(module, own)
    match = max((_match(part, known, own) for part in read_parts(path)), key=lambda each: (each.alike, len(each.names)))
    unused = _check_names(match, known, module, own, path, network)
    values = _values(match, own, path, network)
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LoadedWeights(path, digest, match.part.keys, match.prefix, len(values), tuple(unused))


def _names(module: nn.Module, own: Tensors) -> _Names:
    """The names of `module`.

    A container of one layer, whose name ends in 0 today, had none in clock_driven, where its conv.0.weight was
    conv.module.weight.
    """
    names = _Names({}, WRAPPERS)
    if len({names.plain(name) for name in own}) < len(own):
        names = _Names({}, frozenset())  # the network needs those parts to tell its layers apart
    # Up to the layers, so that a network of one layer is still told from another by that layer's name.
    first, *others = [names.plain(name).split(".")[:-2] for name in own]
    shared = max(n for n in range(len(first) + 1) if all(path[:n] == first[:n] for path in others))
    common = "".join(f"{part}." for part in first[:shared])
    single = [path for path, layer in module.named_modules() if isinstance(layer, nn.Sequential) and len(layer) == 1]

    def unnumbered(name: str) -> str:
        for path in sorted(single, key=len, reverse=True):
            if name.startswith(f"{path}.0."):
                name = f"{path}.{name.removeprefix(f'{path}.0.')}"
        return name

    keys = {names.plain(unnumbered(name)).removeprefix(common): name for name in own}
    keys |= {names.plain(name).removeprefix(common): name for name in own}
    return names._replace(keys=keys)


def _match(part: Part, known: _Names, own: Tensors) -> _Match:
    """The tensors of `part` with that prefix taken off which leaves the most of the network's."""
    found, alike = Counter[str](), Counter[str]()
    for name, tensor in part.tensors.items():
        pieces = known.plain(name).split(".")
        for start in range(min(len(pieces), DEEPEST)):
            key = known.keys.get(".".join(pieces[start:]))
            if key is not None:
                prefix = "".join(f"{piece}." for piece in pieces[:start])
                found[prefix] += 1
                alike[prefix] += tensor.shape == own[key].shape
    prefix = max(found, key=lambda each: (alike[each], found[each], -len(each)), default="")
    names: dict[str, str] = {}
    left = []
    for name in part.tensors:
        plain = known.plain(name)
        key = known.keys.get(plain.removeprefix(prefix)) if plain.startswith(prefix) else None
        if key is None or key in names:
            left.append(name)
        else:
            names[key] = name
    return _Match(part, prefix, names, left, alike[prefix])


def _check_names(match: _Match, known: _Names, module: nn.Module, own: Tensors, path: Path, network: str) -> list[str]:
    """The names in the file that are left over without harm. Raises InputError for others, and for missing ones."""
    if not match.names:
        raise InputError(
            f"{path} has none of the {len(own)} tensors of {network} ({_listed(own)}), but "
            f"{_listed(match.part.tensors)}: name the weights of this network, or the network that they are of"
        )
    unused = [name for name in match.left if _is_harmless(known.plain(name).removeprefix(match.prefix), known, module)]
    foreign = [name for name in match.left if name not in set(unused)]
    missing = [name for name in own if name not in match.names and name.rpartition(".")[2] not in COUNTERS]
    if missing or foreign:
        lacks = [f"lacks {len(missing)} of its {len(own)} tensors ({_listed(missing)})"] if missing else []
        has = [f"has {len(foreign)} that are foreign to it ({_listed(foreign)})"] if foreign else []
        raise InputError(
            f"{path} does not hold the weights of {network}: it {' and '.join(lacks + has)}: name the weights of this "
            "network, or make it as it was when they were saved"
        )
    return unused


def _is_harmless(name: str, known: _Names, module: nn.Module) -> bool:
    """Whether no output of `module` depends on the tensor `name`, plain, for which it has no place."""
    owner, _, leaf = name.rpartition(".")
    if leaf in COUNTERS:
        return True
    layers = (layer for path, layer in module.named_modules() if f".{known.plain(path)}".endswith(f".{owner}"))
    return any(isinstance(layer, base.MemoryModule) and leaf in layer._memories for layer in layers)


def _values(match: _Match, own: Tensors, path: Path, network: str) -> dict[str, torch.Tensor]:
    """The values of the network's tensors, in its own dtypes. Raises InputError for those that do not fit."""
    tensors = {name: match.part.tensors[found] for name, found in match.names.items()}
    for name in [name for name in tensors if name.rpartition(".")[2] in COUNTERS]:
        if tensors[name].shape != own[name].shape or tensors[name].dtype != own[name].dtype:
            del tensors[name]
    others = [name for name, tensor in tensors.items() if tensor.shape != own[name].shape]
    if others:
        first, more = others[0], f", and so it is with {len(others) - 1} more" if len(others) > 1 else ""
        raise InputError(
            f"tensor {capped(match.names[first], 60)} of {path} has shape {tuple(tensors[first].shape)}, but {network} "
            f"needs {tuple(own[first].shape)} there{more}: make the network as it was when they were saved (as with "
            "--args num_classes=100), or name its own weights"
        )
    values = {}
    for name, tensor in tensors.items():
        called = f"tensor {capped(match.names[name], 60)} of {path}"
        is_plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
        if not is_plain or tensor.is_complex() or tensor.is_floating_point() != own[name].is_floating_point():
            kind = "numbers of another kind" if is_plain else "no plain numbers"
            raise InputError(
                f"{called} holds {kind} ({_called(tensor.dtype)}), but {network} needs {_called(own[name].dtype)} "
                "there: write what the network computes with, by torch.save(net.state_dict(), ...)"
            )
        values[name] = value = tensor.detach().to(own[name].dtype)
        if not torch.isfinite(value).all():
            bad = int((~torch.isfinite(value)).sum())
            raise InputError(
                f"{called} holds {bad} values that are not finite (of {value.numel()}), but all must be: name weights "
                "of a training that did not diverge"
            )
    return values


def _called(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _listed(names: Iterable[str]) -> str:
    """The first of `names`, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(capped(name, 60) for name in every[:MOST_NAMED]) + more
