"""What binds: the resource of which a layer or a core takes the largest share."""

from neuroprune.report.bottlenecks import core_binding, cores_bound_by, cores_worth, layer_binding, worst_first
from neuroprune.report.chip_schema import ResourceUse
from neuroprune.report.schema import Report


def test_a_layer_is_bound_by_what_it_takes_most_of_on_its_cores(report: Report) -> None:
    conv, dense = report.layers
    worth = (1000 / 1024, 2048 / 4096, 512 / 4096, 2 * 823_296 / (128 * 8192), 2 / 16)
    assert cores_worth(conv, report.target) == worth
    assert layer_binding(conv, report.target) == ("synapse memory", worth[3] / 2)
    assert layer_binding(dense, report.target) == ("neurons", 1000 / 1024)


def test_a_layer_of_an_older_report_is_bound_by_nothing_that_is_known(report: Report) -> None:
    assert layer_binding(report.layers[0].model_copy(update={"resources": ()}), report.target) is None


def test_a_core_is_bound_by_its_own_limits(report: Report) -> None:
    """On a chip of unequal cores the same use is more of the one than of the other."""
    uses = [ResourceUse(name=name, unit="words", used=50, limit=limit) for name, limit in (("a", 100), ("b", 60))]
    small = report.cores[0].model_copy(update={"resources": tuple(uses)})
    large = small.model_copy(update={"resources": (uses[0], uses[1].model_copy(update={"limit": 200}))})
    assert [use.name for use in map(core_binding, (small, large)) if use is not None] == ["b", "a"]
    assert cores_bound_by([small, large, small]) == (("b", 2), ("a", 1))


def test_a_core_without_resources_is_bound_by_none(report: Report) -> None:
    bare = report.cores[0].model_copy(update={"resources": ()})
    assert core_binding(bare) is None and cores_bound_by([bare]) == ()


def test_the_core_with_the_most_synops_is_the_worst(report: Report) -> None:
    assert [core.index for core in worst_first(report.cores)] == [2, 1, 0]
