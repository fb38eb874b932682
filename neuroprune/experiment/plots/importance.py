"""Importance transition: how the channels fare, through fine-tuning, that only one of two methods kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.compression.record import CompressRecord
from neuroprune.experiment.plots.style import Drawn, figure, legend, style_of
from neuroprune.experiment.record import ImportanceRecord


@dataclass(frozen=True)
class Survivors:
    """The channels that a pruning left. kept, scales: by layer, their numbers, and |gamma| [epochs + 1, channels]."""

    kept: Mapping[str, tuple[int, ...]]
    scales: Mapping[str, FloatArray]

    @classmethod
    def of(cls, compression: CompressRecord, importance: ImportanceRecord) -> "Survivors":
        """From what a trial has left."""
        kept = {layer.name: layer.kept for layer in compression.layers if layer.kept is not None}
        scales = {name: np.array(rows, np.float64) for name, rows in importance.layers.items() if name in kept}
        return cls(kept, scales)

    def apart_from(self, other: "Survivors") -> FloatArray | None:
        """Mean |gamma| of the channels that `other` does not have, [epochs + 1]; None where it has all."""
        found = [scales[:, ~np.isin(self.kept[name], other.kept.get(name, ()))] for name, scales in self.scales.items()]
        apart = np.concatenate(found, axis=1) if found else np.empty((0, 0))
        if not apart.size:
            return None
        mean: FloatArray = apart.mean(1)
        return mean


def draw_importance(title: str, baseline: str, survivors: Mapping[str, Mapping[int, Survivors]]) -> Iterator[Drawn]:
    """By variant and seed, against the survivors of the baseline on the same seeds; the mean over seeds."""
    others = survivors.get(baseline, {})
    lines: dict[str, tuple[FloatArray, FloatArray]] = {}
    for variant, by_seed in survivors.items():
        pairs = [
            (own, of_baseline)
            for seed, each in by_seed.items()
            if seed in others and variant != baseline
            if (own := each.apart_from(others[seed])) is not None
            and (of_baseline := others[seed].apart_from(each)) is not None
        ]
        if pairs:
            epochs = min(len(each) for pair in pairs for each in pair)
            own, of_baseline = (np.mean([each[:epochs] for each in side], axis=0) for side in zip(*pairs, strict=True))
            lines[variant] = own, of_baseline
    if not lines:
        return
    drawn, (axes,) = figure(f"Importance transition ({title})")
    for number, (variant, (own, of_baseline)) in enumerate(lines.items()):
        style = style_of(number)
        axes.plot(np.arange(len(own)), own, label=f"{variant} alone", **style)
        plain = {"marker": "", "linestyle": "--", "linewidth": 1, "alpha": 0.6}
        axes.plot(np.arange(len(of_baseline)), of_baseline, **style | plain)
    axes.plot([], [], color="grey", linestyle="--", linewidth=1, label=f"{baseline} alone, beside each")
    axes.set_xlabel("epoch of fine-tuning", fontsize=9)
    axes.set_ylabel("|gamma| of channels that one alone kept,\nin means of its network", fontsize=9)
    legend(drawn, axes)
    yield "importance-transition", drawn
