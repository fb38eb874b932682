"""A convolution in fewer groups is the same convolution."""

import numpy as np
import pytest
import torch

from neuroprune.program.groups import merge_groups
from neuroprune.program.types import IntConv


def run(conv: IntConv, inputs: torch.Tensor) -> torch.Tensor:
    weight = torch.tensor(conv.weight, dtype=torch.float64)
    return torch.nn.functional.conv2d(inputs, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)


@pytest.mark.parametrize(("groups", "most", "left"), [(12, 5, 4), (12, 12, 12), (7, 6, 1), (256, 127, 64)])
def test_merging_changes_no_output(groups: int, most: int, left: int) -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-128, 128, (groups * 2, 3, 2, 3)).astype(np.int16) * 2
    conv = IntConv(weight, (2, 1), (1, 0), (1, 1), groups)
    merged = merge_groups(conv, most)
    inputs = torch.from_numpy(rng.integers(-128, 128, (2, groups * 3, 4, 4)).astype(np.float64))
    assert merged.groups == left
    torch.testing.assert_close(run(merged, inputs), run(conv, inputs), rtol=0, atol=0)
