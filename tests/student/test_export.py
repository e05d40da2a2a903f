"""Students run in stock mmpose and equal their branch."""

import copy
import importlib
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from common import (
    batch,
    build,
    images,
    paired_metainfo,
    python,
    run,
    shake,
    student_weights,
)
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmpose import registry as registries
from mmpose.apis import MMPoseInferencer
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS

import okdhp_mm
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import load_checkpoint
from okdhp_mm.models import state_names
from okdhp_mm.recipes.methods import apply_method
from okdhp_mm.student import export, state
from okdhp_mm.student.card import describe_method
from okdhp_mm.student.config import student_config
from okdhp_mm.student.export import export_student

ROOT = Path(__file__).parents[2]
DEMO = ROOT / 'configs' / 'okdhp' / 'demo.py'
WIDTH, HEIGHT = 64, 96


def config(**model):
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict(dict(model=model))
    return cfg


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A training config, a model and its checkpoint, as after an epoch."""
    folder = tmp_path_factory.mktemp('trained')
    cfg = config()
    # Those of the config exist once `make demo` has run; the model card would count their persons.
    cfg.train_dataloader.dataset.data_root = str(folder)
    model = shake(build(cfg.model)).eval()
    meta = dict(
        epoch=1, dataset_meta=parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    )
    file = folder / 'epoch_1.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=meta), file)
    return cfg, model, str(file)


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory):
    """The student of branch 1."""
    cfg, _, file = trained
    return export_student(cfg, file, tmp_path_factory.mktemp('student'), branch=1)


def test_the_config_of_a_student_has_the_keypoints_in_their_order(trained, tmp_path):
    cfg = copy.deepcopy(trained[0])
    cfg.test_dataloader.dataset.metainfo = paired_metainfo(12)
    done = export_student(cfg, trained[2], tmp_path)
    meta = torch.load(done.checkpoint, weights_only=True)['meta']
    for written in (Config.fromfile(done.config), Config.fromstring(meta['cfg'], '.py')):
        keypoints = written.test_dataloader.dataset.metainfo.keypoint_info
        assert list(keypoints) == list(range(12))


def load_student(exported):
    student = MODELS.build(Config.fromfile(exported.config).model).eval()
    loaded = torch.load(exported.checkpoint, weights_only=True)
    student.load_state_dict(loaded['state_dict'], strict=True)
    return student


# --------------------------------------------------------------------------- the three laws


def test_the_students_model_is_the_stock_config_that_the_training_started_from(exported):
    student = Config.fromfile(exported.config).model.to_dict()
    stock = Config.fromfile(DEMO).model.to_dict()
    for key in ('branches', 'split', 'distiller'):
        stock.pop(key)
    stock['type'] = 'TopdownPoseEstimator'
    stock['backbone'].pop('init_cfg', None)
    student['backbone'].pop('init_cfg', None)
    assert student == stock


def test_the_students_state_is_the_union_of_trunk_and_branch_under_stock_names(exported, trained):
    state = torch.load(exported.checkpoint, weights_only=True)['state_dict']
    expected = student_weights(trained[1], 1)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    stock = build(Config.fromfile(exported.config).model).state_dict()
    assert list(state) == list(stock) or state.keys() == stock.keys()


def test_the_students_heatmaps_equal_its_branch_bit_for_bit(exported, trained):
    _, model, _ = trained
    x = images(size=(WIDTH, HEIGHT))
    features = model.backbone(x)
    heatmaps = load_student(exported)(x, None, mode='tensor')
    assert torch.equal(heatmaps, model.head.forward(features, 1))
    assert not torch.equal(heatmaps, model.head.forward(features, 0))


def test_the_student_costs_what_the_stock_network_costs(exported):
    stock = build(Config.fromfile(exported.config).model)
    assert exported.student == exported.stock
    assert exported.student.parameters == sum(p.numel() for p in stock.parameters())
    assert exported.student.flops > 1e6
    assert str(exported.student).endswith('GFLOPs')


def test_the_checkpoint_holds_tensors_and_plain_types_only(exported):
    loaded = torch.load(exported.checkpoint, weights_only=True)
    assert loaded['meta']['dataset_meta']['dataset_name'] == 'coco'
    assert len(loaded['meta']['dataset_meta']['keypoint_id2name']) == 17
    assert_plain(loaded['meta'])


def assert_plain(value):
    assert isinstance(value, (dict, list, tuple, set, str, int, float, bool, type(None)))
    for entry in value.items() if isinstance(value, dict) else ():
        assert_plain(entry)
    for entry in value if isinstance(value, (list, tuple, set)) else ():
        assert_plain(entry)


def test_neither_file_mentions_this_package(exported):
    for file in (exported.config, exported.checkpoint):
        content = file.read_bytes().lower()
        for trace in (b'okdhp', b'distil', b'EveryOutput'.lower(), b' branches=3', b'split='):
            assert trace not in content, (file.name, trace)


def test_the_card_tells_what_is_known_of_the_student(exported, trained):
    card = (exported.config.parent / 'README.md').read_text()
    front = yaml.safe_load(card.split('---')[1])
    tags = ['pose-estimation', 'knowledge-distillation']
    assert front == dict(library_name='mmpose', pipeline_tag='keypoint-detection', tags=tags)
    for fact in (
        '# HRNet for 17 keypoints of coco',
        f'HRNet with HeatmapHead, {exported.student}',
        '64x96 pixels; RGB, (value - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]',
        'codec MSRAHeatmap (heatmap_size=(16, 24), sigma=1.0, unbiased=True, blur_kernel_size=5)',
        '| method | okdhp: 3 branches, which part at ',
        'distillation by loss_kd; this is branch1',
        '| trained on | `person_keypoints_train2017.json` |',
        '`nose`, `left_eye`, `right_eye`',
        '`student.py` is Python code',
    ):
        assert fact in card, fact
    assert '| metric |' not in card, 'this checkpoint records none'


def test_the_method_has_its_name_if_it_is_known(trained):
    cfg, model, _ = trained
    cfg = Config(cfg.to_dict())
    for name in ('okdhp', 'okdhp_short'):
        cfg.method_name = name
        assert describe_method(cfg, model).startswith(f'{name}: 3 branches, which part at')
    assert 'method_name' not in student_config(cfg, 0)
    cfg.pop('method_name')
    assert describe_method(cfg, model).startswith('3 branches'), 'the config has its own distiller'
    cfg.model.pop('distiller')
    assert describe_method(cfg, model).startswith('okdhp: 3 branches')


def test_the_card_has_the_numbers_of_persons_and_the_metric_of_a_best_checkpoint(trained, tmp_path):
    cfg, _, file = trained
    cfg = Config(cfg.to_dict())
    write_coco(tmp_path / 'data', 'train', 3, seed=0)
    cfg.train_dataloader.dataset.data_root = f'{tmp_path / "data"}/'
    history = {'val/coco/AP': [0.1, 0.25], 'val/branch1/coco/AP': [0.2, 0.5]}
    logged = {name: HistoryBuffer(values, [1, 1]) for name, values in history.items()}
    found = {}
    info = dict(best_ckpt='work_dirs/x/best_coco_AP_epoch_3.pth')
    for is_best, epoch in ((True, 3), (False, 4)):
        saved = load_checkpoint(file)
        saved['meta'] |= dict(epoch=epoch)
        saved |= dict(message_hub=dict(log_scalars=logged, runtime_info=info, resumed_keys={}))
        torch.save(saved, tmp_path / 'best.pth')
        for branch in (0, 1):
            folder = tmp_path / f'{is_best}{branch}'
            export_student(cfg, str(tmp_path / 'best.pth'), folder, branch)
            found[is_best, branch] = (folder / 'README.md').read_text()
    assert '`person_keypoints_train2017.json` (3 persons)' in found[True, 0]
    assert '| metric | coco/AP 0.2500 in the validation |' in found[True, 0]
    assert '| metric | coco/AP 0.5000 in the validation |' in found[True, 1]
    assert '| metric |' not in found[False, 0]


def test_a_card_of_others_is_kept_without_force(trained, tmp_path):
    cfg, _, file = trained
    (tmp_path / 'README.md').write_text('mine')
    with pytest.raises(UserError, match=r'README.md exist already; --force'):
        export_student(cfg, file, tmp_path)
    assert (tmp_path / 'README.md').read_text() == 'mine'
    export_student(cfg, file, tmp_path, force=True)
    assert (tmp_path / 'README.md').read_text().startswith('---')


RUN_STUDENT = """
import importlib.abc, sys
import numpy as np, torch

class Impossible(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'okdhp_mm':
            raise ImportError('okdhp_mm is gone')

sys.meta_path.insert(0, Impossible())
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.apis import inference_topdown, init_model
from mmpose.evaluation import *
from mmpose.registry import METRICS, DATASETS

config, checkpoint, image, out = sys.argv[1:]
model = init_model(config, checkpoint, device='cpu')
sample = inference_topdown(model, image)[0]
x = torch.randn(2, 3, {height}, {width}, generator=torch.Generator().manual_seed(2))
with torch.no_grad():
    heatmaps = model(x, None, mode='tensor')
torch.save(dict(heatmaps=heatmaps, keypoints=torch.tensor(sample.pred_instances.keypoints)), out)
assert type(model).__module__.startswith('mmpose.'), type(model)
assert 'okdhp_mm' not in sys.modules
"""


def site_without_us(folder):
    """Stand-in for compiled operators, without our package."""
    code = 'import mmcv.ops'
    clean = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    if subprocess.run(python('-c', code), env=clean, cwd=folder, capture_output=True).returncode:
        source = Path(okdhp_mm.__file__).with_name('_mmcv_ext.py')
        shutil.copy(source, folder / 'stand_in.py')
        (folder / 'sitecustomize.py').write_text(
            'import sys, stand_in\nsys.modules["mmcv._ext"] = stand_in\n'
        )
    return clean | dict(PYTHONPATH=str(folder))


def test_the_student_runs_where_this_package_cannot_be_imported(exported, trained, tmp_path):
    image = tmp_path / 'image.png'
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 255, (120, 90, 3), np.uint8))
    out = tmp_path / 'out.pth'
    code = RUN_STUDENT.format(height=HEIGHT, width=WIDTH)
    result = subprocess.run(
        python('-c', code, exported.config, exported.checkpoint, image, out),
        env=site_without_us(tmp_path), cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    given = torch.load(out, weights_only=True)
    _, model, _ = trained
    x = images(size=(WIDTH, HEIGHT))
    assert torch.equal(given['heatmaps'], model.head.forward(model.backbone(x), 1))
    assert given['keypoints'].shape == (1, 17, 2)


def test_the_inferencer_takes_the_student(exported, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (120, 90, 3), np.uint8)
    inferencer = MMPoseInferencer(
        pose2d=str(exported.config),
        pose2d_weights=str(exported.checkpoint),
        det_model='whole_image',
        device='cpu',
        show_progress=False,
    )
    result = next(inferencer(image, vis_out_dir=str(tmp_path)))
    keypoints = np.array(result['predictions'][0][0]['keypoints'])
    assert keypoints.shape == (17, 2)
    assert np.isfinite(keypoints).all()


def test_the_unpruned_model_works_in_the_inferencer_too(trained):
    cfg, model, file = trained
    image = np.random.default_rng(0).integers(0, 255, (120, 90, 3), np.uint8)
    given = []
    for name in ('unpruned', 'student'):
        folder = Path(file).parent / name
        if name == 'student':
            done = export_student(cfg, file, folder)
            pose2d, weights = done.config, done.checkpoint
        else:
            folder.mkdir()
            pose2d, weights = folder / 'config.py', file
            cfg.dump(pose2d)
        inferencer = MMPoseInferencer(
            str(pose2d), str(weights), det_model='whole_image', device='cpu', show_progress=False
        )
        given.append(next(inferencer(image))['predictions'][0][0]['keypoints'])
    assert given[0] == given[1]


# --------------------------------------------------------------------------- which branch


@pytest.mark.parametrize(('deployed', 'asked', 'expected'), [(0, None, 0), (2, None, 2), (2, 1, 1)])
def test_the_deployed_branch_is_exported_unless_another_is_named(
    trained, tmp_path, deployed, asked, expected
):
    _, model, file = trained
    cfg = config(test_cfg=dict(branch=deployed))
    done = export_student(cfg, file, tmp_path, asked)
    assert done.branch == expected
    x = images(size=(WIDTH, HEIGHT))
    heatmaps = model.head.forward(model.backbone(x), expected)
    assert torch.equal(load_student(done)(x, None, mode='tensor'), heatmaps)


def test_exporting_leaves_the_config_as_it_is(trained, tmp_path):
    _, _, file = trained
    cfg = config(test_cfg=dict(branch=2, report='all'))
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='nowhere.pth')
    before = copy.deepcopy(cfg.to_dict())
    export_student(cfg, file, tmp_path)
    assert cfg.to_dict() == before


def test_an_ensemble_is_no_student(trained, tmp_path):
    cfg = config(test_cfg=dict(branch='ensemble'))
    with pytest.raises(UserError, match="'ensemble' needs all branches.*--branch N"):
        export_student(cfg, trained[2], tmp_path)
    assert export_student(cfg, trained[2], tmp_path, branch=1).branch == 1


@pytest.mark.parametrize('branch', [3, -1])
def test_a_branch_that_does_not_exist_is_refused(trained, tmp_path, branch):
    with pytest.raises(UserError, match=f'Branch {branch} does not exist; valid are 0 to 2'):
        export_student(trained[0], trained[2], tmp_path, branch)


def test_a_branch_with_numbers_of_its_own_exports_its_own_config(tmp_path):
    deeper = dict(head=dict(conv_out_channels=(8,), conv_kernel_sizes=(3,)))
    cfg = config()
    cfg.model.branches = [{}, deeper]
    model = shake(build(cfg.model)).eval()
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'both.pth')
    done = export_student(cfg, str(tmp_path / 'both.pth'), tmp_path / 'student', branch=1)
    student = Config.fromfile(done.config)
    assert student.model.head.conv_out_channels == (8,)
    assert done.student.parameters > done.stock.parameters
    x = images(size=(WIDTH, HEIGHT))
    heatmaps = model.head.forward(model.backbone(x), 1)
    assert torch.equal(load_student(done)(x, None, mode='tensor'), heatmaps)


@pytest.mark.parametrize('method', ['fpd', 'head_only'])
def test_a_student_of_a_frozen_teacher_is_cut_out_without_its_files(trained, tmp_path, method):
    folder, teacher = tmp_path / 'teacher', Config(dict(model=config().model))
    folder.mkdir()
    teacher.dump(folder / 'teacher.py')
    shutil.copy(trained[2], folder / 'teacher.pth')
    cfg = config(branches=1)
    apply_method(cfg.model, method)
    files = dict(config=str(folder / 'teacher.py'), checkpoint=str(folder / 'teacher.pth'))
    cfg.model.teacher.update(files)
    model = shake(build(cfg.model)).eval()
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'taught.pth')
    before = cfg.pretty_text
    shutil.rmtree(folder)
    done = export_student(cfg, str(tmp_path / 'taught.pth'), tmp_path / 'student')
    assert cfg.pretty_text == before
    assert 'Teacher' not in done.config.read_text()
    x = images(size=(WIDTH, HEIGHT))
    heatmaps = model.head.forward(model.backbone(x), 0)
    assert torch.equal(load_student(done)(x, None, mode='tensor'), heatmaps)


@pytest.fixture(scope='module')
def hourglass(tmp_path_factory):
    """The official hourglass, small: its config, model and the student of branch 2."""
    folder = tmp_path_factory.mktemp('hourglass')
    cfg = Config.fromfile(ROOT / 'configs' / 'okdhp' / 'hourglass4_mpii_official.py')
    cfg.model.backbone.update(feat_channels=16, depth=2)
    cfg.model.head.decoder.update(input_size=(64, 64), heatmap_size=(16, 16))
    model = shake(build(cfg.model)).eval()
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'epoch_1.pth')
    return cfg, model, export_student(cfg, str(folder / 'epoch_1.pth'), folder, branch=2)


def test_a_student_whose_backbone_is_ours_imports_this_package_and_nothing_else_of_it(hourglass):
    _, model, done = hourglass
    assert done.needs_package
    student = Config.fromfile(done.config)
    assert student.custom_imports.imports == ['okdhp_mm']
    assert student.model.type == 'TopdownPoseEstimator'
    assert student.model.head.type == 'CPMHead'
    text = done.config.read_text()
    for word in ('FAU', 'Distill', 'official', 'EveryOutput', 'branches', 'split'):
        assert word not in text
    x = images(size=(64, 64))
    expected, _ = model.head.branch_forward(model.backbone(x), 2)
    assert all(map(torch.equal, load_student(done)(x, None, mode='tensor'), expected))


@pytest.mark.slow
def test_the_config_of_such_a_student_imports_this_package_by_itself(hourglass, tmp_path):
    code = """
import sys
from mmpose.apis import init_model
assert 'okdhp_mm' not in sys.modules
model = init_model(*sys.argv[1:], device='cpu')
assert type(model.backbone).__module__.startswith('okdhp_mm.')
assert type(model).__module__.startswith('mmpose.')
"""
    environment = site_without_us(tmp_path)
    environment['PYTHONPATH'] += os.pathsep + str(ROOT)
    _, _, done = hourglass
    result = subprocess.run(
        python('-c', code, done.config, done.checkpoint),
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_tool_says_where_the_student_runs(hourglass, trained, tmp_path, monkeypatch, capsys):
    for name, (cfg, model), where in (
        ('ours', hourglass[:2], 'run in mmpose with okdhp_mm installed.'),
        ('stock', trained[:2], 'run in stock mmpose.'),
    ):
        config_file, checkpoint = tmp_path / f'{name}.py', tmp_path / f'{name}.pth'
        config_file.write_text(cfg.pretty_text)
        torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
        monkeypatch.setattr(
            sys, 'argv', ['', str(config_file), str(checkpoint), str(tmp_path / name)]
        )
        runpy.run_path(str(ROOT / 'tools' / 'export_student.py'), run_name='__main__')
        assert capsys.readouterr().out.rstrip().endswith(where)


@pytest.mark.parametrize(
    'changes',
    [
        dict(custom_imports=dict(imports='okdhp_mm', allow_failed_imports=False)),
        dict(custom_imports=dict(imports=['okdhp_mm', 'json'], allow_failed_imports=False)),
        dict(custom_hooks=[dict(type='DistillProgressHook'), dict(type='SyncBuffersHook')]),
        dict(default_hooks=dict(report=dict(type='DistillReportHook'))),
        dict(val_evaluator=[dict(type='MultiOutputMetric', metric=dict(type='EPE'))]),
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_place_where_users_name_this_package_is_cleaned(trained, tmp_path, changes):
    cfg = config()
    for key, value in changes.items():
        cfg[key] = value
    done = export_student(cfg, trained[2], tmp_path)
    assert 'okdhp' not in done.config.read_text()
    student = Config.fromfile(done.config)
    assert student.get('custom_imports', {}).get('imports', ['json']) == ['json']
    if 'custom_hooks' in changes:
        assert [hook.type for hook in student.custom_hooks] == ['SyncBuffersHook']
    if 'val_evaluator' in changes:
        assert [metric.type for metric in student.val_evaluator] == ['EPE']


MYLIB = """
import mmpose.registry as registry
from mmpose.codecs import MSRAHeatmap
from okdhp_mm.models.aggregators import MeanAggregator

@registry.MODELS.register_module()
class MyAggregator(MeanAggregator):
    pass

class Mine(MSRAHeatmap):
    pass

for kind in {kinds}:
    getattr(registry, kind).register_module(name='My' + kind, module=Mine)
"""
PLACES = dict(
    KEYPOINT_CODECS=lambda cfg, mine: cfg.model.head.decoder.update(type=mine),
    TRANSFORMS=lambda cfg, mine: cfg.test_dataloader.dataset.pipeline.append(dict(type=mine)),
    DATASETS=lambda cfg, mine: cfg.test_dataloader.dataset.update(type=mine),
    METRICS=lambda cfg, mine: cfg.test_evaluator.metric.update(type=mine),
    HOOKS=lambda cfg, mine: cfg.default_hooks.update(mine=dict(type=mine)),
    LOOPS=lambda cfg, mine: cfg.update(test_cfg=dict(type=mine)),
    VISUALIZERS=lambda cfg, mine: cfg.update(visualizer=dict(type=mine)),
)


@pytest.fixture(scope='module')
def mylib(tmp_path_factory):
    """A package of the user's, with an aggregator and something of every other kind."""
    folder = tmp_path_factory.mktemp('mylib')
    (folder / 'mylib.py').write_text(MYLIB.format(kinds=list(PLACES)))
    with pytest.MonkeyPatch.context() as path:
        path.syspath_prepend(folder)
        importlib.import_module('mylib')
        yield
    sys.modules.pop('mylib')
    for registry in (registries.MODELS, *(getattr(registries, kind) for kind in PLACES)):
        for name in [name for name in registry.module_dict if name.startswith('My')]:
            registry.module_dict.pop(name)


@pytest.mark.parametrize('kind', [None, *PLACES])
def test_a_package_stays_imported_where_the_student_needs_anything_of_it(mylib, kind):
    cfg = config(aggregator=dict(type='MyAggregator'))
    cfg.custom_imports = dict(imports=['okdhp_mm', 'mylib'], allow_failed_imports=False)
    if kind is not None:
        PLACES[kind](cfg, f'My{kind}')
    student = export.student_config(cfg, 0)
    assert 'MyAggregator' not in student.pretty_text
    assert (f'My{kind}' in student.pretty_text) == (kind is not None)
    imports = student.get('custom_imports', {}).get('imports', [])
    assert imports == ([] if kind is None else ['mylib'])


def test_a_student_logs_to_files_whatever_its_training_logged_to(trained, tmp_path):
    """Its machine may have no tensorboard."""
    cfg = config()
    backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    cfg.visualizer = dict(type='PoseLocalVisualizer', vis_backends=backends)
    student = Config.fromfile(export_student(cfg, trained[2], tmp_path).config)
    assert student.visualizer.type == 'PoseLocalVisualizer'
    assert [backend.type for backend in student.visualizer.vis_backends] == ['LocalVisBackend']


def test_what_cannot_be_cleaned_is_refused_with_its_place(trained, tmp_path):
    cfg = config()
    cfg.train_cfg = dict(extra=dict(type='KLHeatmapLoss'))
    with pytest.raises(UserError, match=r"cfg.train_cfg.extra.type='KLHeatmapLoss' is of this"):
        export_student(cfg, trained[2], tmp_path)
    assert not list(tmp_path.iterdir())


def without_data_to_test_on(cfg, *splits):
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict(
        {f'{split}_{part}': None for split in splits for part in ('dataloader', 'evaluator', 'cfg')}
    )
    return cfg


def test_a_training_that_tests_nothing_gives_a_student_that_is_tested_as_it_was_validated(
    trained, tmp_path
):
    cfg = without_data_to_test_on(trained[0], 'test')
    student = Config.fromfile(export_student(cfg, trained[2], tmp_path).config)
    assert student.test_dataloader == cfg.val_dataloader
    assert student.test_evaluator == student.val_evaluator == cfg.val_evaluator.metric
    assert student.test_cfg == {}
    cv2.imwrite(str(tmp_path / 'image.png'), np.zeros((40, 30, 3), np.uint8))
    inferencer = MMPoseInferencer(
        pose2d=str(tmp_path / 'student.py'),
        pose2d_weights=str(tmp_path / 'student.pth'),
        det_model='whole_image',
        device='cpu',
    )
    (result,) = inferencer(str(tmp_path / 'image.png'))
    assert len(result['predictions'][0][0]['keypoints']) == 17


# ------------------------------------------------------------------------------- bad input


def test_without_any_pipeline_to_predict_by_nothing_is_written(trained, tmp_path):
    cfg = without_data_to_test_on(trained[0], 'val', 'test')
    with pytest.raises(UserError, match='A student that predicts requires test_dataloader, which'):
        export_student(cfg, trained[2], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_diverged_branch_is_refused_and_the_others_are_not(trained, tmp_path, value):
    loaded = torch.load(trained[2], weights_only=False)
    loaded['state_dict']['head.branches.1.final_layer.bias'][0] = value
    torch.save(loaded, tmp_path / 'diverged.pth')
    file = str(tmp_path / 'diverged.pth')
    wrong = r'diverged\.pth holds NaN or infinity in 1 tensors .* e\.g\. head\.final_layer\.bias: '
    with pytest.raises(UserError, match=wrong):
        export_student(trained[0], file, tmp_path / 'second', branch=1)
    assert not (tmp_path / 'second').exists()
    export_student(trained[0], file, tmp_path / 'first', branch=0)


def test_a_student_that_is_there_is_not_overwritten_without_force(trained, tmp_path):
    cfg, _, file = trained
    (tmp_path / 'student.py').write_text('# mine')
    with pytest.raises(UserError, match=r'student.py exist already; --force overwrites'):
        export_student(cfg, file, tmp_path)
    assert (tmp_path / 'student.py').read_text() == '# mine'
    assert not (tmp_path / 'student.pth').exists()
    export_student(cfg, file, tmp_path, force=True)
    assert (tmp_path / 'student.pth').exists()


def test_a_config_of_anything_else_is_refused(trained, tmp_path):
    for model in (dict(type='YOLOXPose'), None):
        with pytest.raises(UserError, match='but a student is exported of an'):
            export_student(Config(dict(model=model)), trained[2], tmp_path)


def test_a_stock_checkpoint_is_refused(trained, tmp_path, exported):
    with pytest.raises(UserError, match=r"not a checkpoint of an OKDHP training.*'backbone.conv1"):
        export_student(trained[0], str(exported.checkpoint), tmp_path)


def test_a_student_trained_alone_is_exported_too(trained, tmp_path):
    cfg = student_config(trained[0], 0)
    alone = shake(build(cfg.model)).eval()
    torch.save(dict(state_dict=alone.state_dict(), meta={}), tmp_path / 'alone.pth')
    done = export_student(cfg, str(tmp_path / 'alone.pth'), tmp_path / 'student')
    assert done.branch is None
    assert done.student == done.stock
    picture = images(2, (WIDTH, HEIGHT))
    with torch.no_grad():
        expected = alone(picture, None, mode='tensor')
        assert torch.equal(load_student(done)(picture, None, mode='tensor'), expected)
    card = (tmp_path / 'student' / 'README.md').read_text()
    assert '| method | the student alone, without distillation |' in card
    assert 'knowledge-distillation' not in card
    with pytest.raises(UserError, match='Branch 1 does not exist.* Remove --branch'):
        export_student(cfg, str(tmp_path / 'alone.pth'), tmp_path / 'other', branch=1)
    with pytest.raises(UserError, match='is not of the network of the config'):
        export_student(cfg, trained[2], tmp_path / 'other')


def test_a_checkpoint_with_another_number_of_branches_is_refused(trained, tmp_path):
    with pytest.raises(UserError, match='of another model.*backbone.branches.2'):
        export_student(config(branches=2), trained[2], tmp_path)


def test_a_failed_export_leaves_nothing_behind(trained, tmp_path, monkeypatch):
    def differs(*_):
        raise AssertionError('The student differs from branch0.')

    monkeypatch.setattr(export, 'check_equal', differs)
    with pytest.raises(AssertionError, match='The student differs'):
        export_student(trained[0], trained[2], tmp_path / 'student')
    assert not (tmp_path / 'student').exists()


# --------------------------------------------------------------------- the laws are checked


def test_a_broken_name_breaks_law_2(trained, tmp_path, monkeypatch):
    honest = state_names.student_name
    monkeypatch.setattr(
        state_names,
        'student_name',
        lambda name: None if name.endswith('final_layer.bias') else honest(name),
    )
    with pytest.raises(AssertionError, match=r"The student differs in \['head.final_layer.bias'\]"):
        export_student(trained[0], trained[2], tmp_path)


def test_a_tensor_that_trunk_and_branch_both_have_breaks_law_2():
    both = {'backbone.trunk.x': torch.zeros(1), 'backbone.branches.0.x': torch.zeros(1)}
    with pytest.raises(AssertionError, match='Trunk and branch 0 both have'):
        state.student_state(both, 0)


def test_a_student_of_the_wrong_branch_breaks_law_3(trained, exported):
    student = load_student(exported)
    export.check_equal(trained[1], student, 1)
    with pytest.raises(AssertionError, match='The student differs from branch0'):
        export.check_equal(trained[1], student, 0)


def test_a_prediction_of_the_student_equals_that_of_its_branch(exported, trained):
    data = batch(input_size=(WIDTH, HEIGHT), heatmap_size=(16, 24))
    student = load_student(exported)
    for ours, theirs in zip(
        run(trained[1], 'predict', data), run(student, 'predict', data), strict=True
    ):
        given = ours.pred_outputs.get('branch1').keypoints
        assert np.array_equal(given, theirs.pred_instances.keypoints)
