"""Sample reports for the renderers."""

from collections.abc import Callable

import pytest

from neuroprune.intervals import AccuracyChange
from neuroprune.report.bound_schema import Advice, MappingBound, ResourceBound
from neuroprune.report.chip_schema import (
    ChipLimits,
    CoreReport,
    ResourceAmount,
    ResourceLimit,
    ResourceUse,
    Taken,
    TileReport,
)
from neuroprune.report.cost_schema import CostEstimate, Energy, StepTime
from neuroprune.report.layer_schema import BoundReport, ChangedReport, LayerReport, RoundingReport
from neuroprune.report.schema import (
    AccuracyIntervals,
    AccuracyLadder,
    ExchangeRemark,
    InputReport,
    LavaCheck,
    Report,
    Totals,
)
from neuroprune.report.traffic_schema import LayerTraffic, LinkTraffic, TrafficReport

RESOURCES = tuple(
    ResourceLimit(name=name, unit=unit, limit=limit)
    for name, unit, limit in (
        ("neurons", "neurons", 1024),
        ("input axons", "axons", 4096),
        ("output axons", "axons", 4096),
        ("synapse memory", "bits", 128 * 8192),
        ("synapse formats", "formats", 16),
    )
)


def taken(cores: int, *used: int) -> Taken:
    """So much of each of RESOURCES."""
    amounts = zip(RESOURCES, used, strict=True)
    return Taken(
        cores=cores, resources=tuple(ResourceAmount(name=each.name, unit=each.unit, used=of) for each, of in amounts)
    )


def sample_report(cores: int, **changes: object) -> Report:
    """Two layers on `cores` cores, the last of which holds the second layer alone."""
    layers = tuple(
        LayerReport(
            name=name,
            kind=kind,
            relay=False,
            sources=(source,),
            waits=(0,),
            shape=shape,
            neurons=neurons,
            synapses=10_000 * neurons,
            nonzero_synapses=9_000 * neurons,
            delayed_synapses=0,
            spikes_per_neuron_step=0.125,
            synops_per_sample=1_234_567.5,
            nonzero_synops_per_sample=1_000_000.25,
            weight_bits=8,
            saturated_weights_share=0.001,
            vth=1234,
            reset="zero",
            scale=98.7,
            limited_by="weight",
            current_wraps=0,
            voltage_saturations=5,
            bound=BoundReport(sums=9, current=99, voltage=2**24, times_register=2.0, safe=False),
            rounding=RoundingReport(weight=0.01, clipped=0.0, threshold=0.001, bias=0.0, decay_v=0.0, decay_u=0.0),
            changed=ChangedReport(quantised=0.02, bit_accurate=0.004),
            cores=on,
            resources=taken(on, 1000, 2048, 512, 823_296 * on, on).resources,
            zero_weights_share=0.45,
            zeros_stored=taken(on + 1, 1000, 2048, 512, 1_646_592 * on, on),
        )
        for name, kind, source, shape, neurons, on in (
            ("features.0.neuron", "conv", "input", (64, 32, 32), 65536, cores - 1),
            ("classifier", "dense", "features.0.neuron", (10,), 10, 1),
        )
    )
    on_cores = tuple(
        CoreReport(
            index=index,
            chip=index // 128,
            x=index % 16,
            y=index % 128 // 16,
            tiles=(
                TileReport(
                    layer="classifier" if index == cores - 1 else "features.0.neuron",
                    start=(0, 0, 0),
                    stop=(10, 1, 1),
                    encodings=("dense",) if index == cores - 1 else ("shared",),
                    used=(1000, 2048, 512, 823_296, 1),
                    spikes_per_step=12.5 + index,
                ),
            ),
            neurons=1000 + index % 24,
            idle_neurons=0,
            resources=tuple(
                ResourceUse(**limit.model_dump(), used=used)
                for limit, used in zip(RESOURCES, (1000 + index % 24, 2048, 512, 823_296, 1), strict=True)
            ),
            synops_per_step=1000.25 + index,
            nonzero_synops_per_step=900.125 + index,
        )
        for index in range(cores)
    )
    report = Report(
        network="VGG-16 of 0.5 FLOPs",
        data="digits",
        target=ChipLimits(
            name="loihi-sim",
            title="Loihi 1 core limits with Lava 0.10 integer rules",
            family="loihi",
            cores_per_chip=128,
            resources=RESOURCES,
            mesh=(16, 8),
        ),
        samples=360,
        steps=4,
        seed=0,
        accuracy=AccuracyLadder(
            float=0.98,
            folded=0.98,
            quantised=0.975,
            bit_accurate=0.9725,
            intervals=AccuracyIntervals(
                float=(0.96, 0.99), folded=(0.96, 0.99), quantised=(0.953, 0.987), bit_accurate=(0.95, 0.985)
            ),
            change=AccuracyChange(gained=1, lost=4, low=-0.022, high=0.006),
            most_frequent=0.1,
        ),
        lava=LavaCheck(samples=2, neuron_steps=524_368, spikes=65_000, voltages=131_092),
        input=InputReport(shape=(1, 8, 8), bits=8, unit=0.02, events_per_sample=200.5, saturated_share=0.0),
        layers=layers,
        cores=on_cores,
        totals=Totals(
            neurons=65546,
            synapses=655_460_000,
            nonzero_synapses=589_914_000,
            relay_neurons=0,
            delayed_synapses=0,
            spikes_per_sample=32_773.0,
            synops_per_sample=2_469_135.0,
            nonzero_synops_per_sample=2_000_000.5,
            resources=tuple(
                ResourceUse(
                    name=limit.name,
                    unit=limit.unit,
                    used=sum(core.resources[number].used for core in on_cores),
                    limit=cores * limit.limit,
                )
                for number, limit in enumerate(RESOURCES)
            ),
            cores=cores,
            chips=-(-cores // 128),
            busiest_core=cores - 1,
            zero_weights_share=0.45,
            zeros_stored=taken(cores + 2, 2000, 4096, 1024, 1_646_592 * cores, cores),
        ),
        exchange_remarks=(ExchangeRemark(file="program.net", text="features.0.neuron: a remark"),),
        versions={"neuroprune": "0.1.0"},
    )
    return report.model_copy(update=changes)


def full_report(cores: int) -> Report:
    """A report with bound, traffic, costs and advice as well."""
    report = sample_report(cores)
    resources = tuple(ResourceBound(name=each.name, cores=max(1, cores - 1)) for each in RESOURCES)
    step = StepTime(core=1, compute_ns=5000.0, link_ns=800.0, barrier_ns=500.0, total_ns=5500.0, bound_by="compute")
    energy = Energy(synapse_nj=1210.0, neuron_nj=320.0, spike_nj=None, network_nj=88.0, idle_nj=None, total_nj=1618.0)
    costs = (
        CostEstimate(
            model="loihi1",
            title="Loihi 1 as measured",
            source="Davies 2018",
            grade="published",
            step=step,
            latency_us=44.0,
            samples_per_s=45_000.0,
            energy=energy,
            remarks=("It has no figure for idle cores.",),
        ),
        CostEstimate(
            model="fitted",
            title="A fitted model",
            source="Boyle 2025",
            grade="fitted",
            step=step.model_copy(update={"total_ns": 7500.0}),
            latency_us=60.0,
            samples_per_s=33_000.0,
            energy=energy.model_copy(update={"total_nj": 3200.0}),
        ),
        CostEstimate(
            model="loihi2",
            title="Loihi 2",
            source="Intel 2021",
            grade="assumed",
            step=None,
            latency_us=None,
            samples_per_s=None,
            energy=None,
            remarks=("No energy is published for Loihi 2.",),
        ),
    )
    traffic = TrafficReport(
        messages_per_sample=37_182.0,
        local_per_sample=5120.5,
        hops_per_sample=81_234.0,
        chip_crossings_per_sample=120.0,
        heaviest_link=LinkTraffic(chip=0, from_x=3, from_y=1, to_chip=0, to_x=4, to_y=1, messages_per_step=812.0),
        layers=(
            LayerTraffic(
                source="features.0.neuron",
                target="classifier",
                messages_per_sample=37_182.0,
                local_per_sample=5120.5,
                hops_per_sample=81_234.0,
            ),
        ),
    )
    advice = tuple(
        Advice(
            text=f"{layer}: 6 channels fewer save 1 core (neurons bind)",
            layer=layer,
            removed=6,
            resource="neurons",
            cores_before=cores,
            cores_after=cores - 1,
        )
        for layer in ("features.0.neuron", "classifier")
    )
    bound = MappingBound(
        cores=cores,
        bound=cores - 1,
        gap=1 / (cores - 1),
        resources=resources,
        effort="normal",
    )
    return report.model_copy(update={"bound": bound, "traffic": traffic, "costs": costs, "advice": advice})


@pytest.fixture
def full() -> Report:
    return full_report(3)


@pytest.fixture
def report() -> Report:
    return sample_report(3)


@pytest.fixture
def report_of() -> Callable[..., Report]:
    """Makes a report of so many cores, with other fields changed."""
    return sample_report
