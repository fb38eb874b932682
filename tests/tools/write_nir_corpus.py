"""Writes tests/networks/nir/corpus with the frameworks themselves: NIR files, and the spikes that they compute.

    python tests/tools/write_nir_corpus.py snntorch spikingjelly norse sinabs rockpool
    python tests/tools/write_nir_corpus.py spyx           # with JAX, in an environment of its own
    python tests/tools/write_nir_corpus.py published DIR  # DIR is paper/01_lif of github.com/neuromorphs/NIR at 7232ada

Each case is a file that the framework's own export wrote, and an archive: `frames` float32 [T, N, *sample], and the
spikes uint8 [T, N, *neurons] of each layer of neurons, by the name of its node with _ for dots. Needs, in an
environment of its own since sinabs asks for an old nir, nirtorch>=2, norse>=1.1, sinabs>=3 and snntorch>=0.9.
"""

import sys
from pathlib import Path

import nir
import numpy as np

CORPUS = Path(__file__).parents[1] / "networks" / "nir" / "corpus"
STEPS, SAMPLES = 12, 3


def write(name, graph, frames, spikes):
    """One case; every layer of it fires, none of it twice in a step."""
    if isinstance(graph, nir.NIRGraph):
        graph.metadata = {}
    for layer, fired in spikes.items():
        share = np.mean(fired)
        assert 0.02 < share < 0.9 and set(np.unique(fired)) <= {0.0, 1.0}, (name, layer, share, np.unique(fired))
        print(f"{name}: {layer} {fired.shape} fires at {share:.2f}")
    try:
        nir.write(CORPUS / f"{name}.nir", graph)
    except TypeError:  # parameters without axes, as Norse and sinabs have them, cannot be compressed
        nir.write(CORPUS / f"{name}.nir", graph, compression=None)
    spikes = {layer: fired.astype(np.uint8) for layer, fired in spikes.items()}
    np.savez_compressed(CORPUS / f"{name}.npz", frames=frames, **spikes)


def drive(module, factor, offset=0.0):
    """Weights that make the neurons behind them fire."""
    module.weight.data = module.weight.data * factor + offset


def frames_of(*shape, seed=0):
    return np.random.default_rng(seed).random((STEPS, SAMPLES, *shape)).astype(np.float32)


def layer_by_layer(layers, frames, step):
    """The output of each of `layers` at all steps, [T, N, ...]; `step(layer, x, state)` gives output and state."""
    import torch

    values, outputs = torch.from_numpy(frames), []
    for layer in layers:
        state, given = None, []
        for x in values:
            y, state = step(layer, x, state)
            given.append(y.detach())
        values = torch.stack(given)
        outputs.append(values.numpy())
    return outputs


def snntorch():
    import snntorch as snn
    import torch
    from snntorch.export_nir import export_to_nir

    def step(layer, x, state):
        return layer(x), None

    def neurons(kind, shape, beta, **options):
        whole = {"beta": beta, "threshold": 1.0, **options.pop("more", {})}
        return kind(**{name: torch.full(shape, value) for name, value in whole.items()}, init_hidden=True, **options)

    torch.manual_seed(1)
    net = torch.nn.Sequential(
        torch.nn.Linear(64, 20),
        neurons(snn.Leaky, (20,), 0.9, reset_mechanism="zero"),
        torch.nn.Linear(20, 10),
        neurons(snn.Leaky, (10,), 0.8, reset_mechanism="zero"),
    )
    drive(net[2], 3.0)
    graph = export_to_nir(net, torch.rand(1, 64), ignore_dims=[0])
    frames = frames_of(64)
    outputs = layer_by_layer(net, frames, step)
    write("snntorch-dense", graph, frames, {"1": outputs[1], "3": outputs[3]})

    torch.manual_seed(2)
    subtract = {"reset_mechanism": "subtract", "reset_delay": False}
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, bias=False),
        neurons(snn.Leaky, (4, 6, 6), 0.9, **subtract),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(36, 10, bias=False),
        neurons(snn.Synaptic, (10,), 0.8, more={"alpha": 0.6}, **subtract),
    )
    drive(net[0], 1.0, 0.1)
    drive(net[4], 0.7, 0.02)  # at twice the threshold snnTorch's reset by subtraction is another
    graph = export_to_nir(net, torch.rand(1, 1, 8, 8), ignore_dims=[0])
    frames = frames_of(1, 8, 8)
    outputs = layer_by_layer(net, frames, step)
    write("snntorch-conv-subtract", graph, frames, {"1": outputs[1], "5": outputs[5]})

    torch.manual_seed(3)
    more = {"linear_features": 20, "all_to_all": True, "reset_mechanism": "zero", "reset_delay": False}
    net = torch.nn.Sequential(
        torch.nn.Linear(64, 20),
        neurons(snn.RLeaky, (20,), 0.9, **more),
        torch.nn.Linear(20, 10),
        neurons(snn.Leaky, (10,), 0.8, reset_mechanism="zero"),
    )
    drive(net[1].recurrent, 2.0)
    drive(net[2], 3.0)
    graph = export_to_nir(net, torch.rand(1, 64), ignore_dims=[0])
    frames = frames_of(64)
    outputs = layer_by_layer(net, frames, step)
    write("snntorch-recurrent", graph, frames, {"1_lif": outputs[1], "3": outputs[3]})


def spikingjelly():
    import torch
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    torch.manual_seed(3)
    net = torch.nn.Sequential(
        layer.Conv2d(1, 4, 3),
        neuron.IFNode(),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(36, 20, bias=False),
        neuron.CUBALIFNode(),
        layer.Linear(20, 15),
        neuron.LIFNode(tau=3.0, decay_input=False, v_threshold=0.5, v_reset=-0.25),
        layer.Linear(15, 10),
        neuron.LIFNode(tau=2.0, v_threshold=0.3),
    )
    drive(net[0], 1.0, 0.1)
    drive(net[4], 1.0, 0.02)
    drive(net[6], 2.0, 0.1)
    drive(net[8], 2.0, 0.1)
    functional.set_step_mode(net, "m")
    graph = export_to_nir(net, torch.rand(STEPS, 1, 1, 8, 8))
    frames = frames_of(1, 8, 8)
    functional.reset_net(net)
    value, spikes = torch.from_numpy(frames), {}
    for index, module in enumerate(net):
        value = module(value)
        if isinstance(module, neuron.BaseNode):
            spikes[f"_{index}"] = value.detach().numpy()
    write("spikingjelly", graph, frames, spikes)


def norse():
    import norse.torch as nt
    import torch
    from norse.torch.utils.export_nir import to_nir

    def step(layer, x, state):
        return (layer(x), None) if isinstance(layer, torch.nn.Linear) else layer(x, state)

    torch.manual_seed(4)
    box = nt.LIFBoxParameters(tau_mem_inv=torch.as_tensor(1 / 4e-3), v_th=torch.as_tensor(0.3))
    net = nt.SequentialState(torch.nn.Linear(64, 20), nt.LIFBoxCell(box), torch.nn.Linear(20, 10), nt.LIFBoxCell(box))
    drive(net[2], 4.0)
    graph = to_nir(net, torch.rand(SAMPLES, 64))
    frames = frames_of(64)
    outputs = layer_by_layer(net, frames, step)
    write("norse-box", graph, frames, {"1": outputs[1], "3": outputs[3]})

    torch.manual_seed(5)
    net = nt.SequentialState(
        torch.nn.Linear(64, 20, bias=False),
        nt.LIFCell(nt.LIFParameters(v_th=torch.as_tensor(0.4))),
        torch.nn.Linear(20, 10),
        nt.IAFCell(nt.IAFParameters(v_th=torch.as_tensor(0.4))),
    )
    drive(net[0], 1.0, 0.01)
    drive(net[2], 2.0)
    graph = to_nir(net, torch.rand(SAMPLES, 64))
    outputs = layer_by_layer(net, frames, step)
    write("norse-current", graph, frames, {"1": outputs[1], "3": outputs[3]})


def sinabs():
    import sinabs.layers as sl
    import torch
    from sinabs.activation import SingleSpike
    from sinabs.nir import to_nir

    def run(net, frames):
        """[T, N, ...] as the [N * T, ...] that its Squeeze layers take, and back."""
        value = torch.from_numpy(frames).transpose(0, 1).flatten(0, 1)
        outputs = []
        for module in net:
            value = module(value)
            whole = value.detach().unflatten(0, (SAMPLES, STEPS)).transpose(0, 1)
            outputs.append(whole.numpy())
        return outputs

    torch.manual_seed(6)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, bias=False),
        sl.IAFSqueeze(batch_size=SAMPLES),
        sl.SumPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(36, 10),
        sl.LIFSqueeze(tau_mem=torch.full((10,), 5.0), spike_threshold=torch.full((10,), 0.2), batch_size=SAMPLES),
    )
    drive(net[0], 0.5, 0.02)
    drive(net[4], 1.0, 0.02)
    frames = frames_of(1, 8, 8)
    outputs = run(net, frames)
    for module in (net[1], net[5]):
        module.reset_states()
    graph = to_nir(net, torch.from_numpy(frames).flatten(0, 1))
    graph.infer_types()  # the shapes of maps, which sinabs leaves out and nir.write asks for
    write("sinabs-conv", graph, frames, {"1": outputs[1], "5": outputs[5]})

    torch.manual_seed(7)
    options = {"norm_input": False, "spike_fn": SingleSpike, "batch_size": SAMPLES}
    net = torch.nn.Sequential(
        torch.nn.Linear(64, 20),
        sl.LIFSqueeze(tau_mem=torch.full((20,), 20.0), spike_threshold=torch.full((20,), 1.0), **options),
        torch.nn.Linear(20, 10),
        sl.LIFSqueeze(tau_mem=torch.full((10,), 8.0), spike_threshold=torch.full((10,), 1.0), **options),
    )
    drive(net[2], 4.0)
    frames = frames_of(64)
    outputs = run(net, frames)
    for module in (net[1], net[3]):
        module.reset_states()
    graph = to_nir(net, torch.from_numpy(frames).flatten(0, 1))
    write("sinabs-dense-unscaled", graph, frames, {"1": outputs[1], "3": outputs[3]})


def rockpool():
    import torch
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFNeuronTorch, LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    torch.manual_seed(8)
    net = Sequential(
        LinearTorch((64, 20)),
        LIFTorch(20, tau_mem=0.005, tau_syn=0.003, dt=1e-3),
        LinearTorch((20, 10)),
        LIFNeuronTorch(10, tau_mem=0.01, dt=1e-3),
    )
    drive(net[0], 0.3)
    drive(net[2], 0.6)
    frames = frames_of(64)
    value, spikes = torch.from_numpy(frames).transpose(0, 1), {}
    for name, module in net.modules().items():
        value, *_ = module(value)
        if "LIF" in name:
            spikes[name] = value.detach().transpose(0, 1).numpy()
    write("rockpool", to_nir(net, torch.rand(1, STEPS, 64)), frames, spikes)


def spyx():
    import jax.numpy as jnp
    import spyx.nn as snn
    from flax import nnx
    from spyx.nir import to_nir

    rngs = nnx.Rngs(9)
    net = snn.Sequential(
        nnx.Linear(64, 20, use_bias=False, rngs=rngs),
        snn.CuBaLIF((20,), alpha=0.5, beta=0.75, rngs=rngs),
        nnx.Linear(20, 10, rngs=rngs),
        snn.IF((10,)),
    )
    net.layers[0].kernel[...] *= 0.7
    net.layers[2].kernel[...] *= 2.0
    frames = frames_of(64)
    values, spikes = jnp.asarray(frames), {}
    for index, layer in enumerate(net.layers):
        state = layer.initial_state(SAMPLES) if hasattr(layer, "initial_state") else None
        given = []
        for x in values:
            if state is None:
                given.append(layer(x))
            else:
                y, state = layer(x, state)
                given.append(y)
        values = jnp.stack(given)
        if state is not None:
            spikes[f"layer_{index}"] = np.asarray(values)
    graph = to_nir(net, {"input": np.array([64])}, {"output": np.array([10])})
    write("spyx", graph, frames, spikes)


def published(folder):
    """Files of NIR's paper (arXiv:2311.14641), and the input, voltage and spikes that it reports for each."""
    for framework, layer in (("norse", "1"), ("rockpool", "1_LIFNeuronTorch")):
        table = np.genfromtxt(folder / f"lif_{framework}.csv", delimiter=",")
        (CORPUS / f"published-{framework}.nir").write_bytes((folder / f"lif_{framework}.nir").read_bytes())
        frames = table[:, None, :1].astype(np.float32)
        spikes = table[:, None, 2:].astype(np.uint8)
        np.savez_compressed(CORPUS / f"published-{framework}.npz", frames=frames, **{layer: spikes})


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    if sys.argv[1] == "published":
        published(Path(sys.argv[2]))
    else:
        for framework in sys.argv[1:]:
            {each.__name__: each for each in (snntorch, spikingjelly, norse, sinabs, rockpool, spyx)}[framework]()
