"""Files that the frameworks wrote themselves: the float program fires their spikes, each layer at each step.

tests/tools/write_nir_corpus.py wrote the files and the spikes; two files, with their spikes, are those of NIR's paper.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroprune import fold, load_network, present, trace
from neuroprune.simulation.floats import run_layers

CORPUS = Path(__file__).parent / "corpus"
ARGUMENTS = {
    "published-norse": "(dt=1e-4)",
    "snntorch-conv-subtract": "(reset=subtract)",
    "sinabs-dense-unscaled": "(norm_input=False)",
}
"""What these files do not say."""
CASES = {path.stem: np.load(path) for path in sorted(CORPUS.glob("*.npz"))}


def program_of(name, frames):
    """The float program of a file of the corpus, for sequences [N, T, C, H, W]."""
    network = load_network(f"{CORPUS / name}.nir{ARGUMENTS.get(name, '')}")
    return fold(trace(present(network, frames.shape[2:], frames.shape[1], sequence=True), torch.from_numpy(frames)))


def as_samples(frames):
    """[T, N, ...] as [N, T, C, H, W]."""
    samples = frames.swapaxes(0, 1)
    return np.ascontiguousarray(samples if samples.ndim == 5 else samples[:, :, None, None])


def test_corpus_has_files_of_six_frameworks_and_published_ones():
    assert {name.split("-")[0] for name in CASES} == {
        *("norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spyx"),
        "published",
    }


@pytest.mark.parametrize("name", [name for name in CASES if name != "spyx"])
def test_float_program_fires_the_spikes_of_the_framework(name):
    case, frames = CASES[name], as_samples(CASES[name]["frames"])
    fired = {
        firing.name.removesuffix(".sub_module"): firing.spikes.numpy()  # within a recurrent container
        for firing in run_layers(program_of(name, frames), frames)
    }
    assert set(fired) == set(case) - {"frames"}
    for layer, spikes in fired.items():
        np.testing.assert_array_equal(spikes, case[layer], err_msg=layer)


def test_float_program_fires_the_spikes_of_spyx_a_step_earlier_at_each_layer():
    case, frames = CASES["spyx"], as_samples(CASES["spyx"]["frames"])
    fired = list(run_layers(program_of("spyx", frames), frames))
    for later, firing in enumerate(fired, 1):
        np.testing.assert_array_equal(firing.spikes.numpy()[:-later], case[firing.name][later:], err_msg=firing.name)
