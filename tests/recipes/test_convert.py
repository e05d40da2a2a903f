"""Stock configs become training configs by one command."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from common import batch, python, run
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmpose.registry import METRICS, MODELS
from torch import nn

from okdhp_mm.errors import UserError
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.models.state_names import student_name
from okdhp_mm.recipes.convert import convert_config, default_split
from okdhp_mm.student.config import stock_model, student_config
from okdhp_mm.student.state import check_equal, student_state

ROOT = Path(__file__).parents[2]
COCO = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
TINY = """
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
default_scope = 'mmpose'
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    head=dict(
        type='HeatmapHead', in_channels=64, out_channels=17, deconv_out_channels=(8, 8, 8),
        loss=dict(type='KeypointMSELoss', use_target_weight=True), decoder=codec),
    test_cfg=dict(flip_test=False))
val_evaluator = dict(type='PCKAccuracy', thr=0.2)
test_evaluator = val_evaluator
"""
MOBILENET = """
model['backbone'] = dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,))
model['head']['in_channels'] = 1280
val_evaluator = [dict(type='PCKAccuracy', thr=0.2), dict(type='AUC'), dict(type='EPE')]
test_evaluator = val_evaluator
"""
ALEXNET = """
custom_imports = dict(imports=['mmpose.datasets'], allow_failed_imports=False)
model['backbone'] = dict(type='AlexNet')
model['head'].update(in_channels=256, deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4))
codec['heatmap_size'] = (4, 4)
val_evaluator = None
"""
CHANGES = {'ResNet': '', 'MobileNetV2': MOBILENET, 'AlexNet': ALEXNET}


@pytest.fixture
def stock(tmp_path):
    def write(changes='', name='stock.py'):
        file = tmp_path / name
        file.write_text(TINY + changes)
        return str(file)

    return write


def without_gradient(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def heatmap_size(decoder):
    return getattr(decoder, 'heatmap_size', (16, 16))  # SimCC has none


def check_training_and_export(cfg):
    """One step gives every parameter a gradient; what is exported is its branch bit for bit."""
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
    decoder = model.head.decoder
    keypoints = model.head.branches[0].out_channels
    data = batch(2, decoder.input_size, heatmap_size(decoder), keypoints=keypoints)
    losses = run(model, 'loss', data)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    missing = without_gradient(model)
    if missing:  # only what the stock network itself does not use, e.g. HourglassNet's last link
        stock = revert_sync_batchnorm(MODELS.build(stock_model(cfg.model)))
        losses = run(stock, 'loss', data)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        assert {student_name(name)[1] for name in missing} <= set(without_gradient(stock))
    branch = len(model.head.branches) - 1
    student = revert_sync_batchnorm(MODELS.build(student_config(cfg, branch).model))
    student.load_state_dict(student_state(model.state_dict(), branch), strict=True)
    check_equal(model, student, branch)
    assert type(student).__module__.startswith('mmpose.')
    return model, student


@pytest.mark.parametrize('name', CHANGES)
def test_a_converted_config_trains_and_exports(stock, tmp_path, name):
    done = convert_config(stock(CHANGES[name]), tmp_path / 'out' / 'own.py')
    cfg = Config.fromfile(done.config)
    assert cfg.model.branches == 3
    assert cfg.model.split == done.split
    assert cfg.default_hooks.distill.type == 'DistillProgressHook'
    assert done.trained_parameters > done.stock_parameters
    assert len(done.config.read_text().splitlines()) < 12
    check_training_and_export(cfg)


HEADS = {
    'HeatmapHead': '',
    'HeatmapHead with OHKM': "model['head']['loss'] = dict(type='KeypointOHKMMSELoss', topk=4)",
    'HeatmapHead with two levels': """
model['backbone']['out_indices'] = (2, 3)
model['head'].update(
    in_channels=32 + 64, deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4),
    loss=dict(type='AdaptiveWingLoss'))
model['neck'] = dict(type='FeatureMapProcessor', select_index=(0, 1), concat=True)
""",
    'HeatmapHead with scaled neck': """
model['neck'] = dict(type='FeatureMapProcessor', scale_factor=2.0, apply_relu=True)
model['head'].update(deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4))
""",
    'ViPNASHead': """
model['backbone'] = dict(
    type='ViPNAS_ResNet', depth=50, wid=[16, 16, 16, 32, 32], dep=[None, 1, 1, 1, 1])
model['head'].update(type='ViPNASHead', in_channels=32, deconv_num_groups=(4, 4, 4))
""",
    'CPMHead': """
model['backbone'] = dict(
    type='CPM', in_channels=3, out_channels=17, feat_channels=8, num_stages=2)
model['head'] = dict(
    type='CPMHead', in_channels=17, out_channels=17, num_stages=2, deconv_out_channels=None,
    final_layer=dict(kernel_size=1), loss=dict(type='KeypointMSELoss', use_target_weight=True),
    decoder=codec)
codec['heatmap_size'] = (8, 8)
""",
    'SimCCHead': """
codec = dict(type='SimCCLabel', input_size=(64, 64))
model['head'] = dict(
    type='SimCCHead', in_channels=64, out_channels=17, input_size=(64, 64),
    in_featuremap_size=(2, 2), deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4),
    loss=dict(type='KLDiscretLoss'), decoder=codec)
""",
}
CODECS = {
    'MSRA': '',
    'DARK': 'codec.update(unbiased=True)',
    'UDP': "codec.update(type='UDPHeatmap')",
}


@pytest.mark.parametrize(
    ('head', 'codec'),
    [
        *(('HeatmapHead', codec) for codec in CODECS),
        ('HeatmapHead with OHKM', 'UDP'),
        ('HeatmapHead with two levels', 'MSRA'),
        ('HeatmapHead with scaled neck', 'UDP'),
        ('ViPNASHead', 'MSRA'),
        ('ViPNASHead', 'UDP'),
        ('CPMHead', 'UDP'),
        ('SimCCHead', 'MSRA'),
    ],
)
def test_every_head_neck_and_codec_trains_predicts_and_exports(stock, tmp_path, head, codec):
    changes = f"{CODECS[codec]}\n{HEADS[head]}\nmodel['test_cfg'] = dict(flip_test=True)"
    done = convert_config(stock(changes), tmp_path / 'own.py', branches=2)
    cfg = Config.fromfile(done.config)
    model, student = check_training_and_export(cfg)
    data = batch(heatmap_size=heatmap_size(model.head.decoder))
    ours, theirs = run(model.eval(), 'predict', data), run(student.eval(), 'predict', data)
    for sample, expected in zip(ours, theirs, strict=True):
        predicted = sample.pred_outputs.branch1
        assert np.array_equal(predicted.keypoints, expected.pred_instances.keypoints)
        scores = expected.pred_instances.keypoint_scores
        assert np.array_equal(predicted.keypoint_scores, scores)
        assert predicted.keypoints.shape == (1, 17, 2)


def test_every_metric_of_a_list_is_wrapped_and_nothing_where_there_is_none(stock, tmp_path):
    listed = Config.fromfile(convert_config(stock(MOBILENET), tmp_path / 'a.py').config)
    assert [m.type for m in listed.val_evaluator] == ['MultiOutputMetric'] * 3
    assert [m.metric.type for m in listed.test_evaluator] == ['PCKAccuracy', 'AUC', 'EPE']
    single = Config.fromfile(convert_config(stock(), tmp_path / 'b.py').config)
    assert single.val_evaluator == dict(
        type='MultiOutputMetric', metric=dict(type='PCKAccuracy', thr=0.2)
    )
    none = Config.fromfile(convert_config(stock(ALEXNET), tmp_path / 'c.py').config)
    assert none.val_evaluator is None
    for metric in (*listed.val_evaluator, single.val_evaluator, none.test_evaluator):
        METRICS.build(metric)


def test_a_method_is_written_out_with_its_comments(stock, tmp_path):
    done = convert_config(stock(), tmp_path / 'own.py', method='okdhp_official')
    assert "# mmpose's KeypointMSELoss is twice" in done.config.read_text()
    model = Config.fromfile(done.config).model
    assert (model.branches, model.aggregator.form) == (3, 'released')
    assert Config.fromfile(done.config).method_name == 'okdhp_official'
    assert model.distiller.terms.loss_kd.loss.reduction == 'official'
    losses = run(MODELS.build(model).train(), 'loss', batch())
    assert {'loss_kpt', 'loss_ens', 'loss_kd'} <= losses.keys()
    mean = convert_config(stock(), tmp_path / 'mean.py', method='branches')
    assert done.trained_parameters > mean.trained_parameters, 'the FAU counts, too'
    with pytest.raises(UserError, match="method 'none' does not exist"):
        convert_config(stock(), tmp_path / 'none.py', method='none')
    with pytest.raises(UserError, match='--method fpd .* --teacher CONFIG CHECKPOINT'):
        convert_config(stock(), tmp_path / 'none.py', method='fpd')
    assert not (tmp_path / 'none.py').exists()


def test_a_method_that_inherits_is_written_out_whole_and_alone(stock, tmp_path):
    (tmp_path / 'weaker.py').write_text(
        f'_base_ = {str(ROOT / "configs" / "_base_" / "methods" / "dml.py")!r}\n'
        'train_cfg = dict(max_epochs=3)\n'
        'method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=0.5))))\n'
    )
    done = convert_config(stock(), tmp_path / 'own.py', method=str(tmp_path / 'weaker.py'))
    cfg = Config.fromfile(done.config)
    assert cfg.model.aggregator.type == 'MeanAggregator'
    assert cfg.model.distiller.terms.loss_kd.type == 'MutualTerm'
    assert cfg.model.distiller.terms.loss_kd.loss_weight == 0.5
    assert 'train_cfg' not in cfg
    assert cfg.method_name == 'weaker'


def test_the_stock_config_is_not_overwritten(stock, tmp_path):
    before = Path(stock()).read_text()
    with pytest.raises(UserError, match='stock.py is the stock config, which must stay'):
        convert_config(stock(), tmp_path / 'stock.py', force=True)
    assert (tmp_path / 'stock.py').read_text() == before


def test_a_method_of_ones_own_adds_to_the_imports(stock, tmp_path):
    method = tmp_path / 'own_method.py'
    method.write_text(
        "custom_imports = dict(imports=['mmpose.codecs'])\n"
        "method = dict(aggregator=dict(type='MeanAggregator'))\n"
    )
    done = convert_config(stock(ALEXNET), tmp_path / 'own.py', method=str(method))
    cfg = Config.fromfile(done.config)
    assert cfg.custom_imports.imports == ['okdhp_mm', 'mmpose.datasets', 'mmpose.codecs']


def test_layer_decay_goes_by_the_names_in_the_student(stock, tmp_path):
    decay = "optim_wrapper = dict(constructor='LayerDecayOptimWrapperConstructor')"
    cfg = Config.fromfile(convert_config(stock(decay), tmp_path / 'own.py').config)
    assert cfg.optim_wrapper.constructor == 'BranchLayerDecayOptimWrapperConstructor'
    student = student_config(cfg, 0)
    assert student.optim_wrapper.constructor == 'LayerDecayOptimWrapperConstructor'


def test_what_is_logged_goes_to_tensorboard_too_and_once(stock, tmp_path):
    def backends(kinds, name):
        listed = [dict(type=kind) for kind in kinds]
        changes = f"visualizer = dict(type='PoseLocalVisualizer', vis_backends={listed})"
        cfg = Config.fromfile(convert_config(stock(changes), tmp_path / name).config)
        assert cfg.visualizer.type == 'PoseLocalVisualizer'
        return [backend.type for backend in cfg.visualizer.vis_backends]

    both = ['LocalVisBackend', 'TensorboardVisBackend']
    assert backends(both[:1], 'local.py') == both
    assert backends(both, 'both.py') == both
    assert 'visualizer' not in Config.fromfile(convert_config(stock(), tmp_path / 'c.py').config)


def test_the_teacher_of_an_offline_method_is_written_out(stock, tmp_path):
    teacher = stock(name='teacher.py')
    weights = tmp_path / 'teacher.pth'
    torch.save(MODELS.build(Config.fromfile(teacher).model).state_dict(), weights)
    named = (teacher, str(weights))
    done = convert_config(stock(), tmp_path / 'own.py', method='fpd', teacher=named)
    assert done.branches == 1
    model = Config.fromfile(done.config).model
    assert (model.teacher.config, model.teacher.checkpoint) == named
    trained = MODELS.build(model).train()
    trained.load_teacher()
    losses = run(trained, 'loss', batch())
    assert losses['loss_kd'] > 0
    text = done.config.read_text()
    assert text.startswith('# stock: 1 branch ')
    assert 'branches=1, split' in text
    assert 'branches=3' not in text
    for method, called in (('dml', "the method 'dml'"), (None, 'the default method')):
        with pytest.raises(UserError, match=f'{called} learns from its own branches'):
            convert_config(stock(), tmp_path / 'none.py', method=method, teacher=named)


def test_imports_of_the_stock_config_are_kept(stock, tmp_path):
    cfg = Config.fromfile(convert_config(stock(ALEXNET), tmp_path / 'own.py').config)
    assert cfg.custom_imports.imports == ['okdhp_mm', 'mmpose.datasets']
    assert student_config(cfg, 0).custom_imports.imports == ['mmpose.datasets']


def multiply_adds(network):
    """Return the cost of every convolution by name, counted by hand."""
    counts = {}

    def count(name):
        def hook(module, inputs, output):
            grid = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
            counts[name] = grid.numel() * module.weight[0].numel()

        return hook

    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(count(name))
    network.eval()._forward(torch.zeros(1, 3, 64, 64))
    return counts


@pytest.mark.parametrize(('depth', 'expected'), [(18, 'layer1'), (50, 'layer2')])
@pytest.mark.parametrize('deconv', [8, 256])
def test_half_way_has_nearest_to_half_of_the_backbones_multiply_adds_below_it(
    depth, expected, deconv
):
    config = Config.fromstring(TINY, '.py').model
    config.backbone.depth = depth
    config.head.in_channels *= 1 if depth == 18 else 4
    config.head.deconv_out_channels = (deconv,) * 3
    counts = multiply_adds(MODELS.build(config))
    counts = {name: n for name, n in counts.items() if name.startswith('backbone.')}
    shares, below = {}, []
    for point in ('conv1', 'layer1', 'layer2', 'layer3'):
        below.append(f'backbone.{point}')
        own = sum(n for name, n in counts.items() if name.startswith(tuple(below)))
        shares[point] = own / sum(counts.values())
    nearest = min(shares, key=lambda point: abs(shares[point] - 0.5))
    assert default_split(MODELS.build(config)) == nearest == expected, 'however heavy the head is'


@pytest.mark.parametrize('key', ['custom_imports', 'default_hooks', 'visualizer'])
def test_none_in_the_stock_config_is_replaced(stock, tmp_path, key):
    done = convert_config(stock(f'{key} = None\n'), tmp_path / 'own.py')
    cfg = Config.fromfile(done.config)
    assert cfg.custom_imports.imports == ['okdhp_mm']
    assert cfg.default_hooks.report.type == 'DistillReportHook'


def test_a_config_that_cannot_be_read_back_is_not_written(stock, tmp_path):
    with pytest.raises(UserError, match='cannot be read back .*default_hooks'):
        convert_config(stock('default_hooks = 3\n'), tmp_path / 'own.py')
    assert not (tmp_path / 'own.py').exists()


def test_a_given_split_is_taken_and_a_network_without_points_shared(stock, tmp_path):
    done = convert_config(stock(), tmp_path / 'given.py', branches=2, split='layer3')
    assert Config.fromfile(done.config).model.split == 'layer3'
    assert Config.fromfile(done.config).model.branches == 2
    assert convert_config(stock(ALEXNET), tmp_path / 'alexnet.py').split == 'whole'


HOURGLASS = """
model['backbone'] = dict(
    type='StackedHourglass', num_stacks=3, num_keypoints=17, feat_channels=16, depth=2)
model['head'].update(
    type='CPMHead', in_channels=17, num_stages=3, deconv_out_channels=None, final_layer=None)
"""


CPM = """
model['backbone'] = dict(type='CPM', in_channels=3, out_channels=17, feat_channels=8, num_stages=3)
model['head'].update(
    type='CPMHead', in_channels=17, num_stages=3, deconv_out_channels=None, final_layer=None)
codec['heatmap_size'] = (8, 8)
"""


@pytest.mark.parametrize(('changes', 'split'), [(HOURGLASS, 'stack1'), (CPM, 'stage1')])
def test_a_head_without_parameters_leaves_branches_what_the_split_gives_them(
    stock, tmp_path, changes, split
):
    done = convert_config(stock(changes), tmp_path / 'own.py', branches=2)
    assert done.split == split
    check_training_and_export(Config.fromfile(done.config))
    with pytest.raises(UserError, match='nothing of its own'):
        convert_config(stock(changes), tmp_path / 'whole.py', split='whole')


def test_the_split_of_a_method_is_the_one_that_is_told(stock, tmp_path):
    (tmp_path / 'early.py').write_text("method = dict(split='stem', branches=2)\n")
    done = convert_config(stock(), tmp_path / 'own.py', method=str(tmp_path / 'early.py'))
    assert (done.split, done.branches) == ('stem', 2)
    assert done.config.read_text().startswith('# stock: 2 branches above stem.')
    assert Config.fromfile(done.config).model.split == 'stem'


# -------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ("model['type'] = 'BottomupPoseEstimator'", "model.type='BottomupPoseEstimator'.*heatmaps"),
        ("model['type'] = 'OKDHPTopdownPoseEstimator'", 'is an OKDHP config already'),
        (
            "model = dict(type='DWPoseDistiller', student_cfg='a.py')",
            'Start from its student, a.py',
        ),
        ('del model', 'model.type=None'),
        (
            "model['head'] = dict(type='RegressionHead', in_channels=64, num_joints=17)",
            'RegressionHead does not predict heatmaps or SimCC distributions.*RTMWHead',
        ),
        (
            "model['head']['decoder'] = dict(type='RegressionLabel', input_size=(64, 64))",
            'RegressionLabel encodes no heatmaps, which the head HeatmapHead',
        ),
        (
            "model['head'] = dict(type='VisPredictHead', pose_cfg=model['head'])",
            'visibility.*its pose_cfg .HeatmapHead.',
        ),
        (
            "codec.update(type='UDPHeatmap', heatmap_type='combined')",
            "heatmap_type='combined'.*Use heatmap_type='gaussian'",
        ),
        (
            "model['head']['in_channels'] = 63",
            'cannot take images of 64x64, the input_size of its codec .*63 channels',
        ),
        (
            f'{HOURGLASS}\ncodec.update(input_size=(72, 72), heatmap_size=(18, 18))',
            'the input size 72x72 must be a multiple of 16',
        ),
        ("model['backbone']['type'] = 'ResNest'", 'cannot be built here.*ResNest'),
        ('raise RuntimeError("from the config")', 'cannot be inherited.*from the config'),
        ('broken(', 'cannot be inherited as a config'),
        (
            "custom_imports = dict(imports=['no_such_module'])",
            'cannot be inherited.*no_such_module',
        ),
    ],
)
def test_what_cannot_be_distilled_is_refused_in_a_sentence(stock, tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        convert_config(stock(changes), tmp_path / 'own.py')
    assert not (tmp_path / 'own.py').exists()


def test_branches_without_parameters_of_their_own_are_refused(stock, tmp_path):
    changes = """
model['backbone'] = dict(type='CPM', in_channels=3, out_channels=17, feat_channels=8, num_stages=1)
model['head'].update(
    type='CPMHead', in_channels=17, num_stages=1, deconv_out_channels=None, final_layer=None)
del model['head']['loss']
codec['heatmap_size'] = (8, 8)
"""
    with pytest.raises(UserError, match='nothing of its own'):
        convert_config(stock(changes), tmp_path / 'own.py')


@pytest.mark.parametrize('name', ['nowhere.py', 'mmpose::body_2d_keypoint/nowhere.py', 'a folder'])
def test_a_config_that_does_not_exist_is_refused_with_its_name(tmp_path, name):
    name = str(tmp_path) if name == 'a folder' else name
    with pytest.raises(UserError, match=re.escape(Path(name).name)):
        convert_config(name, tmp_path / 'own.py')


def test_a_wrong_split_is_refused_with_the_points_there_are(stock, tmp_path):
    with pytest.raises(UserError, match="'stem', 'layer1', 'layer2', 'layer3', 'whole'"):
        convert_config(stock(), tmp_path / 'own.py', split='layer9')


def test_a_config_that_is_there_is_only_overwritten_by_force(stock, tmp_path):
    out = tmp_path / 'own.py'
    out.write_text('mine = 1\n')
    with pytest.raises(UserError, match='own.py exists already; --force'):
        convert_config(stock(), out)
    assert out.read_text() == 'mine = 1\n'
    convert_config(stock(), out, force=True)
    assert 'mine' not in out.read_text()
    with pytest.raises(UserError, match=r'must end in \.py'):
        convert_config(stock(), tmp_path / 'own.yaml')


# -------------------------------------------------------------------------- mmpose's own


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        COCO + 'td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192.py',
        COCO + 'td-hm_litehrnet-18_8xb64-210e_coco-256x192.py',
        COCO + 'td-hm_hrformer-small_8xb32-210e_coco-256x192.py',
        COCO + 'td-hm_shufflenetv2_8xb64-210e_coco-256x192.py',
        COCO + 'td-hm_vipnas-res50_8xb64-210e_coco-256x192.py',
        COCO + 'td-hm_pvt-s_8xb64-210e_coco-256x192.py',
        COCO.replace('coco', 'mpii') + 'td-hm_mobilenetv2_8xb64-210e_mpii-256x256.py',
        COCO.replace('coco', 'crowdpose') + 'td-hm_res50_8xb64-210e_crowdpose-256x192.py',
        COCO.replace('coco', 'jhmdb') + 'td-hm_res50_8xb64-20e_jhmdb-sub1-256x256.py',
        'mmpose::wholebody_2d_keypoint/topdown_heatmap/coco-wholebody/'
        'td-hm_vipnas-mbv3_dark-8xb64-210e_coco-wholebody-256x192.py',
        'mmpose::hand_2d_keypoint/topdown_heatmap/onehand10k/'
        'td-hm_hrnetv2-w18_dark-8xb64-210e_onehand10k-256x256.py',
        'mmpose::face_2d_keypoint/topdown_heatmap/coco_wholebody_face/'
        'td-hm_hourglass52_8xb32-60e_coco-wholebody-face-256x256.py',
        'mmpose::animal_2d_keypoint/topdown_heatmap/ap10k/'
        'cspnext-m_udp_8xb64-210e_ap10k-256x256.py',
        'mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192.py',
        'mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py',
        'mmpose::body_2d_keypoint/simcc/coco/'
        'simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py',
        'mmpose::body_2d_keypoint/simcc/coco/simcc_vipnas-mbv3_8xb64-210e_coco-256x192.py',
        'mmpose::wholebody_2d_keypoint/rtmpose/cocktail14/'
        'rtmw-m_8xb1024-270e_cocktail14-256x192.py',
        COCO + 'td-hm_cpm_8xb64-210e_coco-256x192.py',
        'mmpose::fashion_2d_keypoint/topdown_heatmap/deepfashion/'
        'td-hm_res50_8xb64-210e_deepfashion_upper-256x192.py',
    ],
    ids=lambda name: Path(name).stem,
)
def test_mmposes_own_configs_convert_train_and_export(tmp_path, name):
    done = convert_config(name, tmp_path / 'own.py')
    print(f'{Path(name).stem}: split={done.split}, {done.stock_parameters / 1e6:.2f} M, '
          f'training {done.trained_parameters / 1e6:.2f} M')  # fmt: skip
    cfg = Config.fromfile(done.config)
    drop_pretrained(cfg.model)
    check_training_and_export(cfg)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        (COCO + 'td-hm_hrnet-w32_udp-regress-8xb64-210e_coco-256x192.py', 'combined'),
        (COCO + 'td-hm_mspn50_8xb32-210e_coco-256x192.py', 'MSPNHead'),
        (COCO + 'td-hm-vis_res50_8xb64-210e_coco-aic-256x192-merge.py', 'also predicts visibility'),
        (
            'mmpose::body_2d_keypoint/associative_embedding/coco/'
            'ae_hrnet-w32_8xb24-300e_coco-512x512.py',
            'BottomupPoseEstimator',
        ),
        (
            'mmpose::body_2d_keypoint/topdown_regression/coco/'
            'td-reg_res50_8xb64-210e_coco-256x192.py',
            'RegressionHead does not predict',
        ),
        (
            'mmpose::body_2d_keypoint/integral_regression/coco/'
            'ipr_res50_8xb64-210e_coco-256x256.py',
            'DSNTHead does not predict',
        ),
    ],
    ids=lambda value: Path(value).stem,
)
def test_mmposes_other_configs_are_refused(tmp_path, name, sentence):
    with pytest.raises(UserError, match=sentence):
        convert_config(name, tmp_path / 'own.py')


@pytest.mark.slow
def test_the_tool_tells_the_points_and_the_parameters(stock, tmp_path):
    out = tmp_path / 'own.py'
    command = python(ROOT / 'tools' / 'okdhp_config.py', stock(), '-o', out)
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "3 branches, split='layer1'" in told.stdout
    assert 'possible splits: stem, layer1, layer2, layer3, whole' in told.stdout
    assert re.search(r'parameters: [\d.]+ M in training, [\d.]+ M in every student', told.stdout)
    assert 'warning' not in told.stdout
    again = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr.strip().splitlines()[-1].startswith('error: ')
    assert 'Traceback' not in again.stderr


@pytest.mark.slow
def test_the_tool_warns_when_it_falls_back_to_whole(stock, tmp_path):
    tool = python(ROOT / 'tools' / 'okdhp_config.py', stock(ALEXNET), '-o')
    told = subprocess.run([*tool, tmp_path / 'own.py'], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert 'warning: this backbone has no split points' in told.stdout
