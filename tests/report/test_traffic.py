"""The messages of a report: sums that agree with each other, with the spikes, and with what each core sends."""

from dataclasses import replace

import numpy as np
import pytest
from own_objects import NeuronsOnly
from sample_networks import PreactivationResidual, stir

from neuroprune.chips.load import load_chip
from neuroprune.deployment import Deployment
from neuroprune.errors import CapacityError, InputError
from neuroprune.mapping.budget import Budget
from neuroprune.pipeline import deploy
from neuroprune.simulation.verification import LavaSettings

FRAMES = np.random.default_rng(2).normal(0, 1.5, (9, 2, 8, 8)).astype(np.float32)
SMALL = replace(load_chip("loihi-sim"), cores_per_chip=6, mesh=(3, 2))
BY_TILE = replace(SMALL, core=replace(SMALL.core, neurons_per_core=40))
BY_CORE = replace(SMALL, core=NeuronsOnly(40))


def deployed(chip: object, **options: object) -> Deployment:
    return deploy(stir(PreactivationResidual()).float(), FRAMES, chip, lava=LavaSettings(samples=0), **options)


@pytest.fixture(scope="module", params=[BY_TILE, BY_CORE], ids=["by tile", "by core"])
def done(request: pytest.FixtureRequest) -> Deployment:
    return deployed(request.param)


def test_what_cores_send_is_what_cores_receive_and_what_the_report_sums(done: Deployment) -> None:
    traffic = done.report.traffic
    assert traffic is not None
    a_step = traffic.messages_per_sample / done.report.steps
    assert sum(core.messages_in_per_step or 0 for core in done.report.cores) == pytest.approx(a_step)
    assert sum(core.messages_out_per_step or 0 for core in done.report.cores) == pytest.approx(a_step)
    assert a_step > 0


def test_layers_add_up_to_the_whole_where_messages_are_for_one_layer_each(done: Deployment) -> None:
    traffic = done.report.traffic
    assert traffic is not None
    for name in ("messages_per_sample", "local_per_sample", "hops_per_sample"):
        total = sum(getattr(each, name) for each in traffic.layers)
        if done.report.target.family == "loihi":
            assert total == pytest.approx(getattr(traffic, name))
        else:  # a message to a core is for each layer there that reads the spike
            assert total >= getattr(traffic, name) - 1e-6
    readers = {(each.source, layer.name) for layer in done.balanced.layers for each in layer.connections}
    assert {(each.source, each.target) for each in traffic.layers} <= readers


def test_a_link_carries_no_more_than_all_messages_and_crossings_need_another_chip(done: Deployment) -> None:
    traffic, report = done.report.traffic, done.report
    assert traffic is not None and traffic.heaviest_link is not None
    assert 0 < traffic.heaviest_link.messages_per_step * report.steps <= traffic.messages_per_sample
    assert traffic.hops_per_sample >= traffic.messages_per_sample >= traffic.chip_crossings_per_sample > 0
    assert report.totals.chips > 1
    assert any("assumed to lie in a row" in warning for warning in report.warnings)


def test_one_chip_has_no_crossings_and_no_warning_of_chips() -> None:
    report = deployed(load_chip("loihi-sim")).report
    assert report.traffic is not None and report.traffic.chip_crossings_per_sample == 0
    assert not any("in a row" in warning for warning in report.warnings)


def test_searching_takes_no_more_hops_than_the_curve() -> None:
    hops = {}
    for placement in ("curve", "search"):
        done = deployed(BY_TILE, placement=placement)
        assert done.report.traffic is not None
        hops[placement] = done.report.traffic.hops_per_sample
    assert hops["search"] < hops["curve"]


def test_what_exceeds_its_budget_fails_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroprune.deployment.simulate", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(CapacityError, match=r"than the 2 that it may take: give it --cores \d+, or prune it"):
        deployed(BY_TILE, budget=Budget(cores=2))


def test_an_unknown_placement_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="there is no placement 'nowhere': choose one of search, curve"):
        deployed(BY_TILE, placement="nowhere")
