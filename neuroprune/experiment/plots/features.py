"""What the classifiers of pruned networks see, class by class."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from neuroprune.experiment.plots.style import Drawn, figure, legend, style_of
from neuroprune.experiment.record import FeatureRecord

PLOTS = {
    "intra-class-variance": ("variance", "Intra-class variance of the features", "variance on the test set"),
    "train-test-similarity": ("similarity", "Similarity of training and test features", "cosine of the class means"),
}
"""By the name of their files: field of FeatureRecord, title, label."""
MOST_NAMES = 20
"""Classes whose numbers have room below an axis."""


def draw_features(title: str, features: Mapping[str, Sequence[FeatureRecord]]) -> Iterator[Drawn]:
    """By variant, the records of all seeds; a point for each class, the mean over seeds."""
    if not any(features.values()):
        return
    for name, (field, what, label) in PLOTS.items():
        drawn, (axes,) = figure(f"{what} ({title})")
        for number, (variant, records) in enumerate(features.items()):
            values = np.mean([getattr(record, field) for record in records], axis=0)
            classes = np.arange(len(values))
            mean = f"{variant} (mean {np.mean(values):.3f})"
            axes.plot(classes, values, label=mean, **style_of(number) | {"linestyle": "none"})
            if len(classes) <= MOST_NAMES:
                axes.set_xticks(classes)
        axes.set_xlabel("class", fontsize=9)
        axes.set_ylabel(label, fontsize=9)
        legend(drawn, axes)
        yield name, drawn
