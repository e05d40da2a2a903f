"""The authors' arrangement: the same values as the official method's, the slow way."""

import runpy
import sys
from pathlib import Path

import authors_cost
import joint_loops
import pytest
import torch
from authors_cost import AUTHORS, OFFICIAL, OURS, side_of
from common import NUM_KEYPOINTS, batch, build, head, okdhp_model, run, shake

from okdhp_mm.models.losses import KLHeatmapLoss
from okdhp_mm.recipes.methods import apply_method

DEMO = Path(__file__).parents[2] / 'configs' / 'okdhp' / 'demo.py'
STACKED = dict(
    backbone=dict(
        type='StackedHourglass',
        num_stacks=2,
        num_keypoints=NUM_KEYPOINTS,
        feat_channels=8,
        depth=2,
    ),
    head=head(NUM_KEYPOINTS, deconv=None, type='CPMHead', num_stages=2, final_layer=None),
    split='stack1',
)


@pytest.mark.parametrize('changes', [{}, STACKED], ids=['hrnet', 'hourglass'])
def test_loops_give_what_the_official_method_gives(changes):
    config = okdhp_model(**changes)
    apply_method(config, 'okdhp_official')
    model = shake(build(config)).train()
    model.head.distiller.set_progress(1.0)
    data = batch()
    for sample in data['data_samples']:
        sample.gt_instance_labels.keypoint_weights[:, ::3] = 0
    official = run(model, 'loss', data)
    model.head.distiller = joint_loops.LoopDistiller()
    loops = run(model, 'loss', data)
    for name in ('loss_kpt', 'loss_ens', 'loss_kd'):
        torch.testing.assert_close(loops[name], official[name], rtol=1e-4, atol=1e-7)


def test_kl_is_the_official_reduction():
    output, teacher = torch.randn(2, 3, 4, 8, 8)
    weights = torch.tensor([[1.0, 0, 1, 1]] * 3)
    expected = KLHeatmapLoss(reduction='official')(output, teacher, weights)
    torch.testing.assert_close(joint_loops.kl(output, teacher, weights), expected)


def test_every_side_learns():
    config = okdhp_model(**STACKED)
    for name in (OURS, OFFICIAL, AUTHORS):
        side = side_of(name, config, 2)
        side()
        model = side.args[0]
        assert model.head.aggregator.form == ('light' if name == OURS else 'released')
        assert all(p.grad is not None for p in model.parameters())


@pytest.mark.slow
def test_the_script_prints_times_and_memory(monkeypatch, capsys):
    arguments = [str(DEMO), *'--batch-size 1 --input-size 64 --repeats 2'.split()]
    monkeypatch.setattr(sys, 'argv', ['authors_cost.py', *arguments])
    runpy.run_path(authors_cost.__file__, run_name='__main__')
    first, _, *lines = capsys.readouterr().out.splitlines()[-8:]
    assert 'batch 1, 64x64' in first
    assert [line.split()[0] for line in lines] == [OURS, OFFICIAL, AUTHORS] * 2
    kept = [float(line.split()[1]) for line in lines[3:]]
    assert kept[0] < kept[2]
