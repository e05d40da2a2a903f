"""The student as ONNX: what is in the graph, and that it gives what PyTorch gives."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from common import python, shake
from mmengine.dataset import Compose
from mmpose.codecs import MegviiHeatmap, MSRAHeatmap, SimCCLabel, UDPHeatmap
from students import SIMCC, SIZE, write_student
from torch import nn

from okdhp_mm import onnx_export
from okdhp_mm.demo.figures import draw_figure
from okdhp_mm.errors import UserError
from okdhp_mm.infer import OnnxEngine, TorchEngine
from okdhp_mm.onnx_decode import graph_decoder
from okdhp_mm.onnx_deconvolution import without_deconvolutions

onnx = pytest.importorskip('onnx', reason="comes with pip install -e '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")

from okdhp_mm import onnx_check  # noqa: E402
from okdhp_mm.onnx_pose import OnnxPose  # noqa: E402

ROOT = Path(__file__).parents[1]
TOLERANCE = 0.05
HEATMAP = (24, 32)
INPUT = (96, 128)


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """A folder of drawn persons."""
    folder = tmp_path_factory.mktemp('pictures')
    for seed in range(5):
        image = draw_figure(np.random.default_rng(100 + seed)).image
        cv2.imwrite(str(folder / f'{seed}.png'), image)
    return folder


@pytest.fixture(scope='module')
def decoded(tmp_path_factory, pictures):
    """A student with a graph that decodes, and how that was found to agree."""
    folder = write_student(tmp_path_factory.mktemp('decoded'))
    return folder, onnx_check.export_onnx(folder, decode=True, check_images=str(pictures))


@pytest.fixture(scope='module')
def simcc(tmp_path_factory):
    """A SimCC student with a graph that does not decode, checked on drawn figures."""
    folder = write_student(tmp_path_factory.mktemp('simcc'), SIMCC)
    return folder, onnx_check.export_onnx(folder)


def images(number):
    return torch.randn(number, 3, *SIZE[::-1], generator=torch.Generator().manual_seed(number))


def outputs(folder, batch):
    session = onnxruntime.InferenceSession(str(folder / 'student.onnx'))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {'input': batch.numpy()}), strict=True))


def graph_of(folder):
    return onnx.load(str(folder / 'student.onnx'))


# ------------------------------------------------------------------------------- the graph


@pytest.mark.parametrize('number', [1, 3])
def test_keypoints_of_any_batch_are_the_stock_predictions(decoded, number):
    folder, _ = decoded
    student = onnx_export.load_student(folder)
    with torch.no_grad():
        maps = student(images(number), None, mode='tensor')
    expected = student.head.decode(maps)
    found = outputs(folder, images(number))
    assert list(found) == ['keypoints', 'scores']
    assert found['keypoints'].shape == (number, 17, 2)
    for m, instances in enumerate(expected):
        assert abs(found['keypoints'][m] - instances.keypoints[0]).max() < TOLERANCE
        assert found['scores'][m] == pytest.approx(instances.keypoint_scores[0], abs=1e-3)


@pytest.mark.parametrize('number', [1, 3])
def test_simcc_vectors_of_any_batch_are_pytorchs(simcc, number):
    folder, _ = simcc
    with torch.no_grad():
        x, y = onnx_export.load_student(folder)(images(number), None, mode='tensor')
    found = outputs(folder, images(number))
    assert list(found) == ['simcc_x', 'simcc_y']
    assert found['simcc_x'].shape == (number, 17, 128)
    assert found['simcc_x'] == pytest.approx(x.numpy(), abs=1e-3)
    assert found['simcc_y'] == pytest.approx(y.numpy(), abs=1e-3)


def test_no_batch_norm_is_left(decoded, simcc):
    for folder, _ in (decoded, simcc):
        kinds = {node.op_type for node in graph_of(folder).graph.node}
        assert 'Conv' in kinds
        assert 'BatchNormalization' not in kinds


def test_a_batch_norm_that_could_be_folded_is_refused():
    node = onnx.helper.make_node
    nodes = [node('Conv', ['x', 'w'], ['y']), node('BatchNormalization', ['y'], ['z'], name='bn')]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, 'graph', [], []))
    with pytest.raises(AssertionError, match=r"not folded into their convolutions: \['bn'\]"):
        onnx_export._check_folded(model)
    nodes.append(node('Add', ['y', 'z'], ['sum']))
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, 'graph', [], []))
    onnx_export._check_folded(model)


def test_the_file_says_what_a_user_must_know_and_nothing_of_this_machine(decoded):
    folder, _ = decoded
    said = {entry.key: entry.value for entry in graph_of(folder).metadata_props}
    assert said['input'] == 'float32 (batch, 3, 96, 64), RGB, (value of 0..255 - mean) / std'
    assert 'keypoints (batch, 17, 2)' in said['outputs']
    assert said['flip_test'] == 'not in the graph'
    assert json.loads(said['crop']) == dict(input_size=[64, 96], padding=1.1, use_udp=False)
    assert json.loads(said['pixels'])['mean'] == [123.675, 116.28, 103.53]
    assert json.loads(said['keypoint_names'])[0] == 'nose'
    content = (folder / 'student.onnx').read_bytes()
    for trace in (ROOT, sys.prefix, Path.home()):
        assert str(trace).encode() not in content


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('normed', [False, True])
def test_deconvolutions_become_convolutions(bias, normed):
    layers = [nn.ConvTranspose2d(5, 3, 4, 2, 1, bias=bias), nn.ReLU()]
    if normed:
        layers.insert(1, nn.BatchNorm2d(3))
    stock = shake(nn.Sequential(nn.Conv2d(2, 5, 1), nn.Sequential(*layers))).eval()
    graph = without_deconvolutions(stock)
    assert not any(isinstance(m, (nn.ConvTranspose2d, nn.BatchNorm2d)) for m in graph.modules())
    features = torch.randn(2, 2, 6, 4)
    assert torch.allclose(graph(features), stock(features), atol=1e-5)
    assert isinstance(stock[1][0], nn.ConvTranspose2d), 'the student itself stays'


@pytest.mark.parametrize('settings', [dict(kernel_size=2, stride=2), dict(kernel_size=4, stride=2)])
def test_other_deconvolutions_stay(settings):
    stock = nn.Sequential(nn.ConvTranspose2d(5, 3, **settings))
    assert isinstance(without_deconvolutions(stock)[0], nn.ConvTranspose2d)


# ----------------------------------------------------------------------------- the decoders


def random_maps(codec):
    return torch.rand(2, 17, *codec.heatmap_size[::-1]) - 0.3


def smooth_maps(codec):
    maps = F.avg_pool2d(random_maps(codec), 5, 1, 2)
    return maps - maps.mean()


def true_maps(codec):
    keypoints = np.random.default_rng(0).uniform(-0.05, 1.05, (2, 1, 17, 2)) * INPUT
    heatmaps = [codec.encode(k.astype(np.float32))['heatmaps'] for k in keypoints]
    return torch.from_numpy(np.stack(heatmaps)) + 0.01 * random_maps(codec)


CODECS = {
    'msra': MSRAHeatmap(INPUT, HEATMAP, sigma=2),
    'dark': MSRAHeatmap(INPUT, HEATMAP, sigma=2, unbiased=True),
    'udp': UDPHeatmap(INPUT, HEATMAP, sigma=2),
    'udp, wide blur': UDPHeatmap(INPUT, HEATMAP, sigma=3, blur_kernel_size=17),
}


def assert_decoded(codec, maps, keypoints, scores):
    for m in range(len(maps)):
        expected, expected_scores = codec.decode(maps[m].numpy().copy())
        # In noise some parabolas are so flat that their top lies far outside, wherever rounding
        # puts it.
        near = abs(expected[0]).max(-1) < 2 * max(INPUT)
        assert near.any()
        assert np.linalg.norm(keypoints[m] - expected[0], axis=-1)[near].max() < TOLERANCE
        assert np.array_equal(scores[m], expected_scores[0])


@pytest.mark.parametrize('make', [random_maps, smooth_maps, true_maps])
@pytest.mark.parametrize('codec', CODECS.values(), ids=CODECS)
def test_heatmaps_are_decoded_as_the_stock_codec_does(codec, make):
    maps = make(codec)
    assert_decoded(codec, maps, *(output.numpy() for output in graph_decoder(codec)(maps)))


@pytest.mark.slow
@pytest.mark.parametrize('codec', [CODECS['dark'], CODECS['udp']], ids=['dark', 'udp'])
def test_decoders_are_the_same_in_onnxruntime(codec):
    maps = true_maps(codec)
    program = torch.onnx.export(graph_decoder(codec), (maps,), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    name = session.get_inputs()[0].name
    assert_decoded(codec, maps, *session.run(None, {name: maps.numpy()}))


def test_simcc_is_decoded_as_the_stock_codec_does():
    codec = SimCCLabel(SIZE, simcc_split_ratio=2.0)
    x, y = torch.rand(2, 17, 128) - 0.1, torch.rand(2, 17, 192) - 0.1
    x[0, 0] = -1  # not seen
    keypoints, scores = graph_decoder(codec)(x, y)
    expected, expected_scores = codec.decode(x.numpy(), y.numpy())
    assert np.array_equal(keypoints.numpy(), expected)
    assert np.array_equal(scores.numpy(), expected_scores)


@pytest.mark.parametrize(
    'codec',
    [
        MegviiHeatmap(INPUT, HEATMAP, kernel_size=5),
        UDPHeatmap(INPUT, HEATMAP, heatmap_type='combined'),
        SimCCLabel(SIZE, use_dark=True),
    ],
    ids=['megvii', 'combined', 'simcc with dark'],
)
def test_what_cannot_be_decoded_in_the_graph_is_refused(codec):
    with pytest.raises(UserError, match=f'The codec {type(codec).__name__} .* leave --decode out'):
        graph_decoder(codec)


# -------------------------------------------------------------------------------- the check


def test_the_check_tells_the_differences(decoded, simcc):
    for _, found in (decoded, simcc):
        assert 0 < found.maps < 1e-4 * found.height
        assert found.farthest < TOLERANCE
        assert found.contested.mean() < 0.1
    assert str(decoded[1]).startswith('5 crops: maps differ by at most')
    assert decoded[1].keypoints.shape == (5, 17)


def test_the_check_finds_a_graph_of_other_weights(simcc, pictures):
    folder, _ = simcc
    student = onnx_export.load_student(folder)
    student.head.final_layer.weight.data += 0.1
    crops = onnx_check.crops_of(student, str(pictures))
    found = onnx_check.agreement(student, (folder / 'student.onnx').read_bytes(), crops)
    assert found.maps > 1e-3
    assert found.keypoints.max() > 1


def test_a_graph_that_differs_is_not_written(simcc, tmp_path, monkeypatch):
    folder = write_student(tmp_path, SIMCC)
    state = torch.load(folder / 'student.pth', weights_only=True)
    state['state_dict']['head.mlp_head_x.bias'][5] += 10
    torch.save(state, folder / 'student.pth')
    monkeypatch.setattr(onnx_check, 'build_onnx', lambda *_: (graph_of(simcc[0]),) * 2)
    with pytest.raises(AssertionError, match='the ONNX graph is not the student: 16 crops'):
        onnx_check.export_onnx(folder)
    assert not (folder / 'student.onnx').exists()


def test_keypoints_that_rounding_moves_are_contested(decoded):
    student = onnx_export.load_student(decoded[0])
    maps = np.zeros((1, 17, 24, 16), np.float32)
    maps[:, :, 5, 5] = 1
    maps[:, :, 5, 7] = 0.5  # so that the quarter of a pixel is no tie
    maps[:, :, 4, 5] = maps[:, :, 5, 6] = 0.4
    maps[:, 3, 20, 10] = 1 - 1e-6
    keypoints = onnx_check.stock_keypoints(student, [maps])
    contested = onnx_check._contested(student, [maps], keypoints, 1e-5)
    assert contested[0].nonzero()[0].tolist() == [3]


# ----------------------------------------------------------------------- running it elsewhere


@pytest.mark.parametrize('use_udp', [False, True])
def test_crops_are_those_of_the_stock_pipeline(decoded, use_udp):
    pose = OnnxPose(decoded[0] / 'student.onnx')
    pose.use_udp = use_udp
    image = draw_figure(np.random.default_rng(3)).image
    for box in ([10, 20, 90, 150], [30, 60, 110, 90], [-5, -7, 200, 200]):
        pipeline = Compose(
            [
                dict(type='GetBBoxCenterScale', padding=1.1),
                dict(type='TopdownAffine', input_size=SIZE, use_udp=use_udp),
            ]
        )
        stock = pipeline(dict(img=image, bbox=np.array([box], np.float32)))
        box = np.array(box, np.float32)
        scale = pose._scale(box)
        assert scale == pytest.approx(stock['input_scale'])
        crop = pose._crop(image, (box[:2] + box[2:]) / 2, scale).transpose(1, 2, 0)
        pixels = (crop * pose.std + pose.mean)[..., ::-1]
        assert abs(pixels - stock['img']).max() < 0.01


def test_both_engines_find_the_same(decoded):
    folder, _ = decoded
    image = draw_figure(np.random.default_rng(3)).image
    boxes = [[10, 20, 90, 150], [30, 60, 110, 100]]
    for given in (None, boxes):
        (theirs, _), (ours, picture) = (
            engine(image, given)
            for engine in (TorchEngine(folder, 'cpu'), OnnxEngine(folder, 'student.onnx'))
        )
        assert picture.shape == image.shape
        assert len(ours) == len(theirs) == len(given or [0])
        for a, b in zip(ours, theirs, strict=True):
            assert a.keys() == b.keys()
            assert np.allclose(a['keypoints'], b['keypoints'], atol=TOLERANCE)
            assert np.allclose(a['keypoint_scores'], b['keypoint_scores'], atol=1e-3)
            assert np.allclose(a['bbox'], b['bbox'])


WITHOUT_TORCH = """
import importlib.abc, importlib.util, sys

class Impossible(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'mmpose', 'mmengine', 'mmcv', 'okdhp_mm'):
            raise ImportError(f'{name} is gone')

sys.meta_path.insert(0, Impossible())
module, student, image = sys.argv[1:]
spec = importlib.util.spec_from_file_location('onnx_pose', module)
onnx_pose = importlib.util.module_from_spec(spec)
spec.loader.exec_module(onnx_pose)
import cv2
keypoints, scores = onnx_pose.OnnxPose(student, threads=1)(cv2.imread(image))
print(keypoints.shape, scores.shape)
"""


def test_it_runs_without_torch(decoded, pictures, tmp_path):
    module = ROOT / 'okdhp_mm' / 'onnx_pose.py'
    arguments = ('-c', WITHOUT_TORCH, module, decoded[0] / 'student.onnx', pictures / '0.png')
    result = subprocess.run(python(*arguments), cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.strip() == '(1, 17, 2) (1, 17)', result.stderr[-1500:]


# ------------------------------------------------------------------------------- bad input


def test_a_graph_that_gives_maps_is_refused_by_what_wants_keypoints(simcc):
    with pytest.raises(UserError, match='gives maps, not keypoints: export it with --onnx --dec'):
        OnnxEngine(simcc[0], 'student.onnx')


def test_a_graph_of_another_program_is_refused(tmp_path):
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node('Relu', ['x'], ['y'])]
    graph = onnx.helper.make_graph(nodes, 'graph', [value('x', 1, [1])], [value('y', 1, [1])])
    opset = [onnx.helper.make_opsetid('', 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.save(model, str(tmp_path / 'student.onnx'))
    with pytest.raises(UserError, match='does not say how to crop'):
        OnnxEngine(tmp_path, 'student.onnx')


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(onnx_export, 'PACKAGES', ('onnx', 'onnx_that_is_nowhere'))
    with pytest.raises(UserError, match='ONNX needs onnx_that_is_nowhere: pip install onnx onnx_'):
        onnx_export.check_installed()


def test_a_folder_without_a_student_is_refused(tmp_path):
    with pytest.raises(UserError, match='has no student.py and no student.pth: name the folder'):
        onnx_check.export_onnx(tmp_path)


def test_a_folder_without_pictures_to_check_on_is_refused(decoded, tmp_path):
    student = onnx_export.load_student(decoded[0])
    with pytest.raises(UserError, match='is no folder with pictures'):
        onnx_check.crops_of(student, str(tmp_path))
    (tmp_path / 'a.jpg').write_text('not a picture')
    with pytest.raises(UserError, match=r'a\.jpg is no picture that can be read'):
        onnx_check.crops_of(student, str(tmp_path))


def test_decoding_without_a_graph_is_a_wrong_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['export_student.py', 'a.py', 'a.pth', 'out', '--decode'])
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(ROOT / 'tools' / 'export_student.py'), run_name='__main__')
    assert '--decode and --check-images are for --onnx' in capsys.readouterr().err
