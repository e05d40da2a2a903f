"""Content of the graph of a student, and its outputs compared with PyTorch."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from common import shake
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from students import SIZE
from torch import nn

onnx = pytest.importorskip('onnx', reason="comes with pip install -e '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")

from okdhp_mm.deploy.onnx import graph  # noqa: E402
from okdhp_mm.errors import UserError  # noqa: E402
from okdhp_mm.student.load import load_student  # noqa: E402

ROOT = Path(__file__).parents[3]
TOLERANCE = 0.05


def images(number):
    return torch.randn(number, 3, *SIZE[::-1], generator=torch.Generator().manual_seed(number))


def outputs(folder, batch):
    session = onnxruntime.InferenceSession(str(folder / 'student.onnx'))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {'input': batch.numpy()}), strict=True))


def graph_of(folder):
    return onnx.load(str(folder / 'student.onnx'))


@pytest.mark.parametrize('number', [1, 3])
def test_keypoints_of_any_batch_are_the_stock_predictions(decoded, number):
    folder, _ = decoded
    student = load_student(folder)
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
        x, y = load_student(folder)(images(number), None, mode='tensor')
    found = outputs(folder, images(number))
    assert list(found) == ['simcc_x', 'simcc_y']
    assert found['simcc_x'].shape == (number, 17, 128)
    assert found['simcc_x'] == pytest.approx(x.numpy(), abs=1e-3)
    assert found['simcc_y'] == pytest.approx(y.numpy(), abs=1e-3)


def test_the_file_asks_for_no_newer_runtime_than_its_operators(decoded):
    model = graph_of(decoded[0])
    (opset,) = model.opset_import
    assert model.ir_version == onnx.helper.find_min_ir_version_for(model.opset_import)
    assert (model.ir_version, opset.domain, opset.version) == (8, '', 18)
    onnx.checker.check_model(model, full_check=True)


def test_no_batch_norm_is_left(decoded, simcc):
    for folder, _ in (decoded, simcc):
        kinds = {node.op_type for node in graph_of(folder).graph.node}
        assert 'Conv' in kinds
        assert 'BatchNormalization' not in kinds


class Twice(nn.Module):
    """Does what LiteHRNet does: the same layers see the same features two times."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))

    def forward(self, images):
        return (self.layers(images).relu() + self.layers(images),)


def test_batch_norms_of_layers_that_are_applied_twice_are_folded():
    network = shake(Twice()).eval()
    model = graph.to_onnx(network, dict(input=images(2)), ['output'])
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count('Conv') == 1
    assert 'BatchNormalization' not in kinds
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {'input': images(3).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), network(images(3))[0].detach())


def test_a_batch_norm_that_could_be_folded_is_warned_of(monkeypatch):
    warned = []
    monkeypatch.setattr(graph, 'print_log', lambda text, *_: warned.append(text))
    node = onnx.helper.make_node
    nodes = [node('Conv', ['x', 'w'], ['y']), node('BatchNormalization', ['y'], ['z'], name='bn')]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, 'graph', [], []))
    graph._warn_unfolded(model)
    (sentence,) = warned
    assert sentence.startswith('1 batch norms are not folded into their convolutions, e.g. bn: ')
    nodes.append(node('Add', ['y', 'z'], ['sum']))
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, 'graph', [], []))
    graph._warn_unfolded(model)
    assert len(warned) == 1


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


@pytest.mark.parametrize(
    ('flag', 'channels'), [('bgr_to_rgb', 'RGB'), ('rgb_to_bgr', 'RGB'), (None, 'BGR')]
)
def test_either_flag_of_the_preprocessor_swaps_the_channels(decoded, flag, channels):
    student = load_student(decoded[0])
    preprocessor = student.cfg.model.data_preprocessor
    preprocessor.update({name: name == flag for name in ('bgr_to_rgb', 'rgb_to_bgr')})
    # What mmpose makes of a picture that is read as BGR: pure blue.
    picture = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 4, 4)
    batch = dict(inputs=[picture], data_samples=[PoseDataSample()])
    first = MODELS.build(preprocessor)(batch)['inputs'][0, 0].mean()
    assert ('BGR' if first > 0 else 'RGB') == channels
    said = graph.metadata(graph.StudentGraph(student, decode=False))
    assert json.loads(said['pixels'])['channels'] == channels
    assert channels in said['input']


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(graph, 'PACKAGES', ('onnx', 'onnx_that_is_nowhere'))
    with pytest.raises(UserError, match='ONNX needs onnx_that_is_nowhere: pip install onnx onnx_'):
        graph.check_installed()


@pytest.mark.parametrize('found', ['2.1.2', '2.5.1+cpu'])
def test_a_torch_that_cannot_export_is_told(found, monkeypatch):
    monkeypatch.setattr('okdhp_mm.env.versions.version', lambda name: found)
    with pytest.raises(UserError) as refused:
        graph.check_installed()
    assert str(refused.value) == f'ONNX needs torch >= 2.6, found {found}.'


@pytest.mark.parametrize('option', [['--decode'], ['--check-images', 'a'], ['--int8', 'a']])
def test_what_is_asked_of_a_graph_without_one_is_a_wrong_command(option, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['export_student.py', 'a.py', 'a.pth', 'out', *option])
    with pytest.raises(SystemExit, match='2'):
        runpy.run_path(str(ROOT / 'tools' / 'export_student.py'), run_name='__main__')
    assert '--decode, --check-images and --int8 are for --onnx' in capsys.readouterr().err


def refused(monkeypatch, config, out, *options):
    """Return the sentence that ends the tool before it writes a file."""
    file = ROOT / 'configs' / 'okdhp' / config
    arguments = [str(file), 'a.pth', str(out), '--onnx', *options]
    monkeypatch.setattr(sys, 'argv', ['export_student.py', *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / 'tools' / 'export_student.py'), run_name='__main__')
    assert not out.exists()
    return str(ended.value)


@pytest.mark.parametrize('option', ['--check-images', '--int8'])
def test_folders_of_pictures_are_looked_into_before_anything_is_written(
    option, monkeypatch, tmp_path
):
    sentence = refused(monkeypatch, 'demo.py', tmp_path / 'out', option, str(tmp_path))
    assert sentence == f'error: {tmp_path} is not a folder with pictures.'
    (tmp_path / 'a.jpg').write_text('not a picture')
    sentence = refused(monkeypatch, 'demo.py', tmp_path / 'out', option, str(tmp_path))
    assert sentence.startswith('error: None of the 1 pictures can be read')


@pytest.mark.parametrize('branch', [[], ['--branch', 'all']], ids=['one', 'all'])
def test_a_codec_that_no_graph_decodes_is_refused_before_anything_is_written(
    branch, monkeypatch, tmp_path
):
    options = ['--decode', *branch, '--cfg-options', 'model.head.decoder.use_dark=True']
    sentence = refused(monkeypatch, 'simcc_resnet18_mpii.py', tmp_path / 'out', *options)
    assert sentence.startswith('error: The codec SimCCLabel with these settings cannot be decoded')
