"""Branches learn as fast as the layers of the stock network that they are."""

from types import SimpleNamespace

import pytest
from common import make_model
from mmengine.config import Config
from mmpose.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from okdhp_mm.engine import DistillProgressHook
from okdhp_mm.errors import UserError
from okdhp_mm.models.state_names import student_name

LAYERS = 3


class Transformer(nn.Module):
    """The names that mmpose looks for, in the stock network or behind a branch's prefix."""

    def __init__(self, layers):
        super().__init__()
        self.patch_embed = nn.Linear(2, 2)
        self.layers = nn.ModuleDict({str(i): nn.Linear(2, 2) for i in layers})


def network(backbone, **head):
    return nn.ModuleDict(dict(backbone=backbone, head=nn.ModuleDict(head)))


def rates(constructor, model):
    """Learning rate and weight decay of every parameter by name."""
    built = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=constructor,
            optim_wrapper_cfg=dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1)),
            paramwise_cfg=dict(num_layers=LAYERS, layer_decay_rate=0.5),
        )
    )(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in built.optimizer.param_groups
        for parameter in group['params']
    }


def test_every_layer_learns_as_in_the_stock_network():
    stock = rates(
        'LayerDecayOptimWrapperConstructor',
        network(Transformer(range(LAYERS)), final_layer=nn.Linear(2, 2)),
    )
    upper = [Transformer([2]) for _ in range(2)]
    for branch in upper:
        del branch.patch_embed
    backbone = nn.ModuleDict(dict(trunk=Transformer([0, 1]), branches=nn.ModuleList(upper)))
    heads = nn.ModuleList(nn.ModuleDict(dict(final_layer=nn.Linear(2, 2))) for _ in range(2))
    branched = network(backbone, branches=heads, aggregator=nn.Linear(2, 2))
    found = rates('BranchLayerDecayOptimWrapperConstructor', branched)
    assert len(found) == 2 * (1 + 2 + 2 + 2 + 1)
    for name, rate in found.items():
        owner = student_name(name)
        expected = stock[owner[1]] if owner else (1.0, 0.1 if name.endswith('weight') else 0.0)
        assert rate == expected, name
    assert found['backbone.trunk.patch_embed.weight'] == (0.5**4, 0.1)
    assert found['backbone.branches.1.layers.2.bias'] == (0.5, 0.0)


def test_the_stock_constructor_is_refused_where_its_names_are_not():
    cfg = Config(dict(optim_wrapper=dict(constructor='LayerDecayOptimWrapperConstructor')))
    loader = SimpleNamespace(batch_size=2)
    runner = SimpleNamespace(model=make_model(), train_dataloader=loader, cfg=cfg)
    with pytest.raises(UserError, match="Set it to 'BranchLayerDecayOptimWrapperConstructor'"):
        DistillProgressHook().before_train(runner)
