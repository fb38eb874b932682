"""Where a control did as well as a method in this project's own experiments, so that the method's output can say so."""

from neuroprune.compression.catalog import Kind
from neuroprune.compression.strategy import Strategy

FINDINGS: dict[Kind, str] = {
    "structured": "a control may do as well: a uniform cut (--method uniform) did in 7 of 8 comparisons on digits, "
    "Fashion-MNIST and CIFAR-10, as a rule with fewer SynOps (RESULTS.md)",
    "unstructured": "a control may do as well: gmp (--method gmp) did at 90, 95 and 98 % on Fashion-MNIST, with fewer "
    "SynOps (RESULTS.md)",
}
"""Of criticality; RESULTS.md has seeds, figures and commands."""


def finding(strategy: Strategy) -> str | None:
    """A sentence; None for methods and combinations that nothing was found of."""
    is_measured = strategy.method == "criticality" and strategy.regenerate_by == "criticality"
    return FINDINGS[strategy.kind] if is_measured and not strategy.layer_floor else None
