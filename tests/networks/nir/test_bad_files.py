"""NIR files that cannot be read or carried: one sentence each, with file, node, reason and remedy."""

import h5py
import nir
import numpy as np
import pytest
from command_line import ended
from nir_graphs import chain, conv, graph_of, lif, linear, read, written

from neuroprune import load_network
from neuroprune.errors import InputError


def full(value, *shape):
    return np.full(shape, value, np.float32)


def cuba(*shape, tau_syn=2e-4, tau_mem=5e-4, v_leak=0.0, v_reset=0.0):
    ones = full(1.0, *shape)
    return nir.CubaLIF(tau_syn * ones, tau_mem * ones, ones, v_leak * ones, ones, v_reset * ones, ones)


RECURRENT = graph_of(
    {"a": linear(), "lif": lif(3), "b": linear(3, 3), "more": lif(3), "back": linear(3, 3)},
    [
        *(("input", "a"), ("a", "lif"), ("lif", "b"), ("b", "more"), ("more", "back"), ("back", "lif")),
        ("more", "output"),
    ],
)
DANGLING = graph_of({"a": linear(), "b": linear(), "lif": lif(3)}, [("input", "a"), ("a", "lif"), ("lif", "output")])
DEAD_END = graph_of(
    {"a": linear(), "lif": lif(3), "b": linear(2, 3)},
    [("input", "a"), ("a", "lif"), ("lif", "output"), ("lif", "b")],
)
TWO_INPUTS = graph_of(
    {"a": linear(), "lif": lif(3), "other": nir.Input({"input": np.array([4])})},
    [("input", "a"), ("other", "a"), ("a", "lif"), ("lif", "output")],
)
UNEQUAL = graph_of(
    {"a": linear(), "b": linear(2), "lif": lif(3)},
    [("input", "a"), ("input", "b"), ("a", "lif"), ("b", "lif"), ("lif", "output")],
)
SHARED = graph_of(
    {"a": linear(), "one": lif(3, threshold=(1, 2, 3)), "two": lif(3)},
    [("input", "a"), ("a", "one"), ("a", "two"), ("one", "output"), ("two", "output")],
)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (RECURRENT, r"has a recurrent connection \(\w+( -> \w+){4}\), and only those from neurons through one node"),
        (DANGLING, "no edge leads from the input to node b: add the missing edge"),
        (DEAD_END, "no edge leads from node b to the output: add the missing edge, or leave it out"),
        (TWO_INPUTS, "has 2 nodes of kind Input, and one is read"),
        (UNEQUAL, r"node lif \(LIF\) adds up values of the shapes \(2,\) and \(3,\)"),
        (SHARED, "reads a, whose weights cannot carry them: use one value for all"),
        (chain(linear(), nir.Delay(full(1, 3)), lif(3)), "node n1 is a Delay, which delays the spikes of its neurons"),
        (chain(linear(), nir.Threshold(full(1, 3))), "node n1 is a Threshold, which fires without a state or a reset"),
        (chain(linear(3, 5), lif(3)), r"node n0 \(Linear\) takes 5 values, and gets those of shape \(4,\)"),
        (chain(linear(), lif(2)), r"node n1 \(LIF\) has values of shape \(2,\) for neurons of \(3,\)"),
        (chain(linear(), lif(3, tau=(1e-3, 2e-3, 1e-3))), "neurons whose voltage loses 0.05 to 0.1 in a step"),
        (
            chain(linear(), lif(3, tau=5e-5)),
            "has a voltage that loses 2 in a step, and it must be between 0 and 1: name the",
        ),
        (
            chain(linear(), nir.LIF(*np.float64([[1e-4] * 3, [1] * 3, [0] * 3, [1] * 3]))),
            "keeps nothing of its voltage",
        ),
        (chain(linear(), lif(3, tau=0.0)), "has a tau of 0, and it must be above 0"),
        (chain(linear(), lif(3, threshold=0.0)), "has a v_threshold of 0, and it must be above 0"),
        (chain(linear(), lif(3, threshold=np.nan)), "has values in 'v_threshold' that are not finite numbers"),
        (chain(linear(), lif(3, v_reset=0.5)), "resets to a v_reset other than 0, where its neurons do not start"),
        (chain(linear(), cuba(3, v_leak=0.5)), "has a v_leak other than 0 beside a current"),
        (
            chain(linear(), nir.LI(full(1e-3, 3), full(1, 3), full(0, 3)), linear(3, 3), lif(3)),
            "passes on its voltage, and layers of the chip pass on spikes",
        ),
        (
            chain(conv(2, 3, input_shape=(4, 4)), lif(2, 2, 2), shape=(1, 4, 4), outputs=(2, 2, 2)),
            r"takes maps of 3 channels, and gets the shape \(1, 4, 4\)",
        ),
        (
            chain(conv(2, 1, kernel=5, input_shape=(9, 9)), lif(2, 1, 1), shape=(1, 4, 4), outputs=(2, 1, 1)),
            r"has a window of \(5, 5\), which is larger than maps of \(4, 4\)",
        ),
        (
            chain(conv(2, 1, padding=4, input_shape=(4, 4)), lif(2, 10, 10), shape=(1, 4, 4), outputs=(2, 10, 10)),
            r"pads by \(4, 4\), more than its kernel of \(3, 3\) reaches",
        ),
        (
            chain(conv(2, 1, kernel=2, padding="same", input_shape=(4, 4)), lif(2, 4, 4), shape=(1, 4, 4)),
            "pads one side more than the other: give it in pixels",
        ),
        (
            chain(nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([2, 2])), lif(1, 2, 2), shape=(1, 4, 4)),
            r"pads by \(2, 2\), more than half of its window",
        ),
        (
            chain(nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), lif(2)),
            "pools maps, and gets the",
        ),
        (
            chain(
                conv(2, 1, input_shape=(4, 4)),
                lif(2, 2, 2, threshold=np.arange(1, 9).reshape(2, 2, 2)),
                shape=(1, 4, 4),
                outputs=(2, 2, 2),
            ),
            "has parameters that differ within a channel, which no convolution can carry",
        ),
    ],
)
def test_graph_that_cannot_be_carried_is_named_with_the_reason(graph, said, tmp_path):
    with pytest.raises(InputError, match=said) as raised:
        read(tmp_path, graph)
    assert "net.nir" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("graph", "arguments", "said"),
    [
        (
            chain(linear(), nir.IF(full(1, 3), full(1, 3))),
            "framework=nengo",
            "framework='nengo': give one of nir, neuroprune",
        ),
        (chain(linear(), lif(3)), "dt=0", "cannot be read with dt=0: give seconds above 0"),
        (chain(linear(), lif(3)), "reset=soft", "reset='soft': give one of zero, subtract"),
        (chain(linear(), lif(3)), "norm_input=2", "norm_input=2: give one of True, False"),
        (
            chain(linear(), lif(3)),
            "T=4",
            "unexpected keyword argument 'T'.: give no other arguments than framework, dt",
        ),
        (
            chain(linear(), lif(3, gain=0.3)),
            "",
            "does not say which framework wrote it, and none is known to write such",
        ),
        (
            chain(linear(), nir.IF(full(1, 3), full(1, 3)), nir.IF(full(1), full(1))),
            "",
            "does not say which framework wrote it",
        ),
        (chain(linear(), lif(3)), "framework=spyx", "Spyx subtracts the threshold of its LIF after the leak"),
        (chain(linear(), lif(3, v_leak=0.5)), "framework=norse", "a v_leak other than 0, where Norse's neurons start"),
    ],
)
def test_arguments_that_do_not_fit_the_file_are_named(graph, arguments, said, tmp_path):
    path = written(tmp_path, graph)
    with pytest.raises(InputError, match=said):
        load_network(f"{path}({arguments})" if arguments else str(path))


def truncated(path):
    path.write_bytes(path.read_bytes()[:3000])


def of_text(path):
    path.write_text("no HDF5")


def edited(change):
    def edit(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return edit


def put(name, value):
    def change(file):
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return edited(change)


def huge(file):
    del file["node/nodes/n0/weight"]
    file.create_dataset("node/nodes/n0/weight", (1 << 16, 1 << 15), np.float32, compression="gzip")


def linked(file):
    del file["node/nodes/n0/weight"]
    file["node/nodes/n0/weight"] = h5py.ExternalLink("/etc/passwd", "/")


def squeezed(file):
    del file["node/nodes/n0/weight"]
    file.create_dataset("node/nodes/n0/weight", data=full(1, 3, 4), chunks=(3, 4), scaleoffset=3)


def nested(file):
    inner = file["node"]
    for _ in range(12):
        inner = (
            inner.create_group("nodes/deeper")
            if "nodes" in inner
            else inner.create_group("nodes").create_group("deeper")
        )
        inner["type"] = "NIRGraph"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncated, "is not a whole NIR file|cannot be read"),
        (of_text, "is not a whole NIR file|cannot be read"),
        (lambda path: path.unlink(), "cannot be read .No such file or directory.: name a file that nir.write wrote"),
        (put("node", None), "the file has no field 'node'"),
        (put("node/type", "LIF"), "holds a single 'LIF', which is no network"),
        (put("node/nodes/n1/type", "Hodgkin"), "node n1 is of kind 'Hodgkin', which is not among those that are read"),
        (put("node/nodes/n1/tau", None), "node n1 has no field 'tau'"),
        (put("node/nodes/n1/tau", "slow"), "node n1 has a field 'tau' that holds no numbers"),
        (put("node/nodes/n0/type", np.arange(3)), "node n0 has a field 'type' that is no single text"),
        (put("node/edges", np.arange(6).reshape(3, 2)), "the file has a field 'edges' that is no short text"),
        (
            put("node/edges", [("input", "n0"), ("n0", "gone")]),
            "the file has an edge of node 'gone', which is not there",
        ),
        (put("node/edges", ["input", "n0"]), r"has edges of shape \(2,\), which are no"),
        (put("node/nodes/n0/weight", full(1, 3, 4, 1)), r"has a weight of shape \(3, 4, 1\)"),
        (edited(huge), "node n0 its arrays take more than the 4294967296 bytes that are read"),
        (edited(linked), "node n0 has a field 'weight' that only names another place or file"),
        (edited(squeezed), "node n0 has a field 'weight' that lies elsewhere or is packed in another way"),
        (edited(nested), "graphs are nested too deeply"),
    ],
)
def test_damaged_file_is_refused_in_a_sentence(damage, said, tmp_path):
    path = written(tmp_path, chain(linear(), lif(3)))
    load_network(str(path))
    damage(path)
    with pytest.raises(InputError, match=said) as raised:
        load_network(str(path))
    assert "net.nir" in str(raised.value) and "\n" not in str(raised.value)


def test_command_line_ends_with_code_2_and_one_sentence(tmp_path, capsys):
    path = written(tmp_path, RECURRENT)
    assert ended("deploy", str(path), "--steps", "4", "--runs", str(tmp_path / "runs")) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert "recurrent connection" in line
