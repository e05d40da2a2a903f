"""A third-party head with its own loss and codec, as docs/extending.md shows it."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from common import CODEC, NUM_KEYPOINTS, batch, build, images, okdhp_model, run, shake
from mmengine.config import Config
from mmpose.registry import KEYPOINT_CODECS, MODELS

from okdhp_mm.deploy.onnx.decoders import MSRADecoder, graph_decoder
from okdhp_mm.errors import UserError
from okdhp_mm.models.heads.adapters import find_adapter
from okdhp_mm.registry import GRAPH_DECODERS, HEAD_ADAPTERS
from okdhp_mm.student.config import student_config
from okdhp_mm.student.state import check_equal, student_state

DOC = Path(__file__).parents[1] / 'docs' / 'extending.md'
REGISTRIES = (HEAD_ADAPTERS, GRAPH_DECODERS, KEYPOINT_CODECS, MODELS)
CODEC = CODEC | dict(type='LogitHeatmap')
HEAD = dict(type='LogitHead', in_channels=8, out_channels=NUM_KEYPOINTS, decoder=CODEC)


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """A config that imports the file that a reader would write."""
    (text,) = re.findall(r'```python\n# logit_head\.py\n(.*?)```', DOC.read_text(), re.S)
    (tmp_path / 'logit_head.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, '_module_dict', dict(registry.module_dict))
    imports = "custom_imports = dict(imports=['okdhp_mm', 'logit_head'])"
    yield Config.fromstring(f'{imports}\nmodel = {okdhp_model(head=HEAD).to_dict()!r}', '.py')
    sys.modules.pop('logit_head', None)


def student_of(cfg, model, branch):
    student = build(student_config(cfg, branch).model)
    student.load_state_dict(student_state(model.state_dict(), branch), strict=True)
    return student.eval()


@pytest.mark.parametrize('aggregator', ['FAU', 'FeatureFusion'])
def test_it_trains_by_its_own_loss(cfg, aggregator):
    cfg.model.aggregator = dict(type=aggregator)
    model = shake(build(cfg.model)).train()
    losses = run(model, 'loss')
    model.parse_losses(losses)[0].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    alone = [run(student_of(cfg, model, m).train(), 'loss')['loss_kpt'] for m in range(3)]
    model.train()
    losses = run(shake(build(cfg.model)).train(), 'loss')
    torch.testing.assert_close(losses['loss_kpt'], sum(alone))


def test_its_student_is_its_branch(cfg):
    model = shake(build(cfg.model)).eval()
    assert student_config(cfg, 1).custom_imports.imports == ['logit_head']
    student = student_of(cfg, model, 1)
    check_equal(model, student, 1)
    model.test_cfg['branch'] = model.head.test_cfg['branch'] = 1
    data = batch()
    for ours, theirs in zip(
        run(model, 'predict', data), run(student, 'predict', data), strict=True
    ):
        assert np.array_equal(ours.pred_instances.keypoints, theirs.pred_instances.keypoints)


def test_without_an_adapter_it_is_refused(cfg):
    HEAD_ADAPTERS.module_dict.pop('LogitAdapter')
    with pytest.raises(UserError, match='LogitHead does not predict heatmaps .* head adapter'):
        build(cfg.model)


def test_the_graph_decodes_what_its_codec_does(cfg):
    codec = KEYPOINT_CODECS.build(CODEC)
    logits = 3 * torch.randn(2, NUM_KEYPOINTS, 16, 16)
    decoder = graph_decoder(codec)
    assert type(decoder).__name__ == 'LogitDecoder'
    assert type(graph_decoder(KEYPOINT_CODECS.build(CODEC | dict(type='MSRAHeatmap')))) is (
        MSRADecoder
    )
    keypoints, scores = decoder(logits)
    for person, found, score in zip(logits.numpy(), keypoints, scores, strict=True):
        expected, expected_scores = codec.decode(person)
        np.testing.assert_allclose(found, expected[0], atol=1e-4)
        np.testing.assert_allclose(score, expected_scores[0], rtol=1e-5)


@pytest.mark.slow
def test_its_onnx_graph_gives_what_the_student_does(cfg, tmp_path):
    pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")
    onnxruntime = pytest.importorskip('onnxruntime')
    from okdhp_mm.deploy.onnx.graph import StudentGraph

    student = student_of(cfg, shake(build(cfg.model)), 0)
    # Large logits saturate the sigmoid, and a map then has several equal peaks.
    student.head.layer.weight.data.mul_(0.1)
    graph = StudentGraph(student, decode=True)
    assert graph.adapter.map_names == find_adapter(student.head).map_names == ('output',)
    inputs = images()
    program = torch.onnx.export(graph, (inputs,), dynamo=True, verbose=False)
    program.save(tmp_path / 'student.onnx')
    session = onnxruntime.InferenceSession(str(tmp_path / 'student.onnx'))
    keypoints, scores, maps = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
    with torch.no_grad():
        expected = student(inputs, None, mode='tensor')
    np.testing.assert_allclose(maps, expected, atol=1e-4)
    for person, found, score in zip(maps, keypoints, scores, strict=True):
        points, likely = student.head.decoder.decode(person)
        np.testing.assert_allclose(found, points[0], atol=0.05)
        np.testing.assert_allclose(score, likely[0], atol=1e-4)
