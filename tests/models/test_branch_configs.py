"""The student inside the multi-branch model: its configs and the names of its weights."""

import copy

import pytest
import torch
from common import build, head, hrnet, make_model, okdhp_model, run, stock_model, student_weights
from mmengine.config import Config

from okdhp_mm.errors import UserError
from okdhp_mm.models.branch_configs import branch_models, deployed_output
from okdhp_mm.models.state_names import student_name

STUDENT = dict(backbone=hrnet(), neck=None, head=head(8, deconv=None))


def test_a_number_of_branches_means_equal_copies_of_the_stock_config():
    models = branch_models(STUDENT, 3)
    assert [model.to_dict() for model in models] == [STUDENT] * 3
    models[0].backbone.in_channels = 99
    assert models[1].backbone.in_channels == STUDENT['backbone']['in_channels'] == 3


@pytest.mark.parametrize(
    ('model', 'output'),
    [
        (dict(), 0),
        (dict(test_cfg=None), 0),
        (dict(test_cfg=dict(branch=2)), 2),
        (dict(test_cfg=dict(branch='ensemble')), 'ensemble'),
    ],
)
def test_the_deployed_output_is_the_first_branch_unless_the_config_says_another(model, output):
    assert deployed_output(model) == output


def test_a_branch_changes_only_the_numbers_that_it_names():
    change = dict(head=dict(conv_out_channels=(4,), conv_kernel_sizes=(3,)))
    first, second = branch_models(STUDENT, [dict(), change])
    assert first.to_dict() == STUDENT
    expected = copy.deepcopy(STUDENT)
    expected['head'].update(conv_out_channels=(4,), conv_kernel_sizes=(3,))
    assert second.to_dict() == expected


@pytest.mark.parametrize('branches', [0, -1, []])
def test_no_branch_is_refused(branches):
    with pytest.raises(UserError, match='there must be at least one'):
        branch_models(STUDENT, branches)
    with pytest.raises(UserError, match='there must be at least one'):
        make_model(branches=branches)


@pytest.mark.parametrize('branches', [1, [{}]])
@pytest.mark.parametrize('aggregator', ['FAU', 'Gate'])
def test_one_branch_is_no_ensemble(branches, aggregator):
    with pytest.raises(UserError, match=f'branches=1: {aggregator} needs at least 2 branches'):
        make_model(branches=branches, aggregator=dict(type=aggregator))


def test_one_branch_that_nobody_teaches_is_the_stock_student():
    terms = dict(loss_kpt=dict(type='SupervisedTerm', of='branches'))
    model = make_model(
        branches=1,
        aggregator=dict(type='MeanAggregator'),
        distiller=dict(type='Distiller', terms=terms),
    ).train()
    stock = build(stock_model()).train()
    stock.load_state_dict(student_weights(model, 0))
    losses, expected = run(model, 'loss'), run(stock, 'loss')
    assert torch.equal(losses['loss_kpt'], expected['loss_kpt'])
    losses['loss_kpt'].backward()
    expected['loss_kpt'].backward()
    gradients = {name: p.grad for name, p in stock.named_parameters()}
    for name, p in model.named_parameters():
        assert torch.equal(p.grad, gradients.pop(student_name(name)[1]))
    assert not gradients


def test_a_branch_cannot_change_what_the_branches_share():
    with pytest.raises(UserError, match=r"branch 1 changes \['test_cfg'\]; a branch can change"):
        branch_models(STUDENT, [{}, dict(test_cfg=dict(flip_test=True))])


def test_the_names_follow_from_the_state_dict_law():
    assert student_name('backbone.trunk.conv1.weight') == (None, 'backbone.conv1.weight')
    assert student_name('backbone.branches.2.layer4.0.bn1.bias') == (
        2,
        'backbone.layer4.0.bn1.bias',
    )
    assert student_name('backbone.branches.10.x') == (10, 'backbone.x')
    assert student_name('head.necks.0.convs.0.weight') == (0, 'neck.convs.0.weight')
    assert student_name('head.branches.1.final_layer.bias') == (1, 'head.final_layer.bias')
    assert student_name('head.aggregator.squeeze.weight') is None
    assert student_name('ema.backbone.trunk.conv1.weight') is None


@pytest.mark.parametrize('backbone', ['hrnet', 'resnet'])
def test_every_tensor_but_the_aggregators_belongs_to_exactly_one_stock_name(backbone):
    model = build(okdhp_model(backbone))
    stock = build(stock_model(backbone)).state_dict()
    for branch in range(3):
        names = []
        for name in model.state_dict():
            owner = student_name(name)
            if owner is None:
                assert name.startswith('head.aggregator.')
            elif owner[0] in (None, branch):
                names.append(owner[1])
        assert len(names) == len(set(names))
        assert set(names) == stock.keys()


def test_a_config_file_keeps_the_stock_model_readable_beside_the_branches():
    """Look up the entries that mmpose's init_model, get_flops and inferencer read."""
    cfg = Config(dict(model=okdhp_model()))
    assert cfg.model.backbone.type == 'HRNet'
    assert cfg.model.head.type == 'HeatmapHead'
