"""Names of the tensors of one branch in the student."""

import pytest
import torch

from okdhp_mm.models.state_names import student_tensors

TRUNK, FIRST, SECOND, HEAD = torch.rand(4, 2)
TENSORS = {
    'backbone.trunk.conv1.weight': TRUNK,
    'backbone.branches.0.layer4.weight': FIRST,
    'backbone.branches.1.layer4.weight': SECOND,
    'head.branches.1.final_layer.weight': HEAD,
    'head.aggregator.squeeze.weight': torch.rand(2),
    'ema.module.backbone.trunk.conv1.weight': torch.rand(2),
}


def test_the_tensors_of_trunk_and_branch_have_their_names_in_the_student():
    selected = student_tensors(TENSORS, 1)
    assert list(selected) == [
        'backbone.conv1.weight',
        'backbone.layer4.weight',
        'head.final_layer.weight',
    ]
    for found, expected in zip(selected.values(), (TRUNK, SECOND, HEAD), strict=True):
        assert found is expected
    assert list(student_tensors(TENSORS, 0)) == ['backbone.conv1.weight', 'backbone.layer4.weight']


def test_a_tensor_of_both_trunk_and_branch_breaks_law_2():
    twice = TENSORS | {'backbone.branches.1.conv1.weight': torch.rand(2)}
    with pytest.raises(AssertionError, match='Trunk and branch 1 both have backbone.conv1.weight'):
        student_tensors(twice, 1)
