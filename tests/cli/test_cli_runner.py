"""Runners of the commands."""

import json
from pathlib import Path

import pytest
import torch
from common import paired_metainfo
from mmengine.config import Config
from mmengine.runner import amp

from okdhp_mm.cli.options import merge_options
from okdhp_mm.cli.runner import build_runner, traceable_amp
from okdhp_mm.errors import UserError


@pytest.mark.parametrize(
    ('option', 'reason'),
    [
        ({'model.branchs': 4}, "unexpected keyword argument 'branchs'"),
        ({'model.backbone.type': 'mmnone.ViT'}, 'mmnone is not installed: pip install mmnone'),
        ({'model.aggregator.type': 'MeanAgg'}, 'MeanAgg is not in the .* registry'),
        ({'train_cfg.max_epoch': 3}, "unexpected keyword argument 'max_epoch'"),
        ({'optim_wrapper.optimizer.type': 'Adamm'}, "optimizer=.*'Adamm'.* cannot be built"),
        ({'optim_wrapper.optimizer.learning_rate': 1.0}, "unexpected keyword .*'learning_rate'"),
        pytest.param(
            {'optim_wrapper.type': 'AmpOptimWrapper'},
            '--amp .* requires CUDA',
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason='there is one'),
        ),
    ],
)
def test_a_slip_in_an_option_is_told_with_the_hosts_reason(demo, option, reason):
    merge_options(demo, option)
    with pytest.raises(UserError, match=reason):
        build_runner(demo, 'train')


@pytest.mark.parametrize(
    ('schedule', 'reason'),
    [
        (dict(type='CosineAnnealingLR', T_max=5, begin=9, end=3), 'end should be larger'),
        (dict(type='Cosine', T_max=5), 'Cosine is not in the .* registry'),
    ],
)
def test_a_schedule_that_does_not_fit_is_told(demo, schedule, reason):
    demo.param_scheduler = [schedule]
    runner = build_runner(demo, 'train')
    with pytest.raises(UserError, match=f'param_scheduler does not fit .*{reason}'):
        runner.train()


def test_the_written_config_has_the_keypoints_in_their_order(demo):
    demo.train_dataloader.dataset.metainfo = paired_metainfo(12)
    build_runner(demo, 'train')
    written = Config.fromfile(Path(demo.work_dir) / 'demo.py')
    assert list(written.train_dataloader.dataset.metainfo.keypoint_info) == list(range(12))


def test_annotations_without_a_person_or_cut_off_are_told_with_their_file(demo):
    dataset = demo.train_dataloader.dataset
    file = Path(dataset.data_root) / dataset.ann_file
    whole = file.read_text()
    file.write_text(whole[:-20])
    with pytest.raises(UserError, match=f'{file} is not complete JSON '):
        build_runner(demo, 'train')
    file.write_text(json.dumps(json.loads(whole) | dict(annotations=[])))
    with pytest.raises(UserError, match=f'{file} has no person with a box '):
        build_runner(demo, 'train')


def test_a_compiled_step_can_be_of_mixed_precision(demo):
    original = amp.digit_version
    demo.compile = True
    build_runner(demo, 'train')

    def step(x):
        with amp.autocast(device_type='cpu', dtype=torch.bfloat16):
            return x @ x

    with traceable_amp():
        assert torch.compile(step, backend='eager')(torch.eye(3)).dtype is torch.bfloat16
    assert amp.digit_version is original
    torch._dynamo.reset()


@pytest.mark.parametrize('checkpoint', [dict(state_dict={}), dict(state_dict={}, meta={})])
def test_weights_are_not_resumed_from(demo, tmp_path, checkpoint):
    student = str(tmp_path / 'student.pth')
    torch.save(checkpoint, student)
    demo.update(resume=True, load_from=student)
    with pytest.raises(UserError, match='not a checkpoint of a training.*load_from=.*student.pth'):
        build_runner(demo, 'train')
