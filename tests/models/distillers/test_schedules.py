"""The ramp-up of the distillation."""

import math

import pytest
import torch
from mmpose.registry import TASK_UTILS

from okdhp_mm.errors import UserError
from okdhp_mm.models.distillers import GaussianRampUp


def at(progress, end=0.4):
    return GaussianRampUp(end)(torch.tensor(progress)).item()


def test_it_starts_at_exp_minus_5():
    assert at(0.0) == pytest.approx(0.0067379, rel=1e-4)


@pytest.mark.parametrize('progress', [0.4, 0.5, 1.0])
def test_it_is_1_from_the_end_on(progress):
    assert at(progress) == 1


def test_it_is_a_gaussian_in_between():
    assert at(0.2, end=0.6) == pytest.approx(math.exp(-5 * (1 - 1 / 3) ** 2))


def test_the_authors_epoch_30_of_150_with_60_epochs_of_ramp_up():
    assert at(30 / 150, end=60 / 150) == pytest.approx(math.exp(-5 * (1 - 30 / 60) ** 2))


def test_it_never_falls():
    values = [at(i / 50) for i in range(51)]
    assert all(a <= b for a, b in zip(values, values[1:], strict=False))
    assert len(set(values)) > 15


@pytest.mark.parametrize('end', [0, -0.1, 1.01, 60])
def test_an_end_that_is_no_share_of_the_training_is_refused(end):
    with pytest.raises(UserError, match=r'end=.* must be a share in \(0, 1\]'):
        GaussianRampUp(end)


def test_a_config_builds_it():
    assert TASK_UTILS.build(dict(type='GaussianRampUp', end=0.7)) == GaussianRampUp(0.7)
