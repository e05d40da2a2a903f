"""A stock config with two validation sets: converted, trained, exported, tested."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from okdhp_mm.data.files import check_data
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.evaluation.summary import branch_table
from okdhp_mm.recipes.convert import convert_config
from okdhp_mm.student.export import export_student
from okdhp_mm.terminal import TerminalRunner

STOCK = """
default_scope = 'mmpose'
custom_imports = None
default_hooks = None
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    head=dict(
        type='HeatmapHead', in_channels=64, out_channels=17, deconv_out_channels=(8, 8, 8),
        loss=dict(type='KeypointMSELoss', use_target_weight=True), decoder=codec),
    test_cfg=dict(flip_test=False))
pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(64, 64)),
]
training = [*pipeline, dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]
file = {root!r} + 'annotations/person_keypoints_{{}}2017.json'
sets = [
    dict(
        type=kind, data_root={root!r}, ann_file='annotations/person_keypoints_val2017.json',
        data_prefix=dict(img='val2017/'), test_mode=True)
    for kind in ('CocoDataset', 'HumanArtDataset')]
train_dataloader = dict(
    batch_size=4, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
        type='CocoDataset', data_root={root!r}, data_prefix=dict(img='train2017/'),
        ann_file='annotations/person_keypoints_train2017.json', pipeline=training))
val_dataloader = dict(
    batch_size=4, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
        type='CombinedDataset', metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=sets, pipeline=[*pipeline, dict(type='PackPoseInputs')], test_mode=True))
val_evaluator = dict(
    type='MultiDatasetEvaluator', datasets=sets, metrics=[
        dict(type='CocoMetric', ann_file=file.format('val')),
        dict(type='PCKAccuracy', thr=0.5, prefix='art')])
test_dataloader, test_evaluator = val_dataloader, val_evaluator
train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
val_cfg = test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
"""


pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The training config, and the runner after one step and a validation."""
    folder = tmp_path_factory.mktemp('several')
    write_coco(folder, 'train', 3, seed=0)
    write_coco(folder, 'val', 2, seed=0)
    (folder / 'stock.py').write_text(STOCK.format(root=f'{folder}/'))
    cfg = Config.fromfile(convert_config(str(folder / 'stock.py'), folder / 'own.py').config)
    check_data(cfg, 'train', 'val', 'test')
    cfg.work_dir = str(folder / 'run')
    runner = TerminalRunner.from_cfg(cfg)
    runner.train()
    return cfg, runner


def test_every_output_is_evaluated_on_both_sets(trained):
    _, runner = trained
    figures = runner.message_hub.log_scalars
    for name in ('', 'branch1/', 'branch2/', 'ensemble/'):
        assert f'val/{name}coco/AP' in figures
        assert f'val/{name}art/PCK' in figures
    assert branch_table(runner).startswith('coco/AP')


def test_the_student_is_tested_on_both_sets_by_the_stock_evaluator(trained, tmp_path):
    cfg, runner = trained
    done = export_student(cfg, f'{runner.work_dir}/epoch_1.pth', tmp_path / 'student')
    student = Config.fromfile(done.config)
    assert [metric.type for metric in student.test_evaluator.metrics] == [
        'CocoMetric',
        'PCKAccuracy',
    ]
    student.load_from, student.work_dir = str(done.checkpoint), str(tmp_path / 'test')
    figures = Runner.from_cfg(student).test()
    logged = runner.message_hub.log_scalars
    for name in ('coco/AP', 'art/PCK'):
        assert figures[name] == pytest.approx(logged[f'val/{name}'].data[0][-1])


@pytest.mark.parametrize('index', [0, 1])
def test_a_missing_file_of_each_set_is_named(trained, index):
    cfg = Config(trained[0].to_dict())
    cfg.val_dataloader.dataset.datasets[index].ann_file = 'nowhere.json'
    with pytest.raises(UserError, match=r'nowhere.json does not exist'):
        check_data(cfg, 'val')
    cfg = Config(trained[0].to_dict())
    cfg.val_evaluator.metrics[index].metric.ann_file = 'nowhere.json'
    with pytest.raises(UserError, match=rf'val_evaluator.metrics.{index}.metric.ann_file'):
        check_data(cfg, 'val')
