"""Convolution by unfold and by the library: the same numbers."""

import pytest
import torch
from torch.nn.functional import conv2d

from medlab.models import conv2d_unfold


@pytest.mark.parametrize(("shape", "kernels"), [((2, 1, 12, 12), (16, 1, 7, 7)), ((1, 3, 6, 9), (4, 3, 2, 2))])
def test_written_out_convolution_equals_the_library(shape, kernels):
    generator = torch.Generator().manual_seed(0)
    images, weight = torch.randn(shape, generator=generator), torch.randn(kernels, generator=generator)
    bias = torch.randn(kernels[0], generator=generator)
    torch.testing.assert_close(conv2d_unfold(images, weight, bias), conv2d(images, weight, bias), atol=1e-5, rtol=1e-5)
