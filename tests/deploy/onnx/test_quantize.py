"""The graph in 8 bits: what stays float, and what it costs."""

import numpy as np
import pytest
import torch
from students import SIZE

onnx = pytest.importorskip('onnx', reason="comes with pip install -e '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")

from okdhp_mm.deploy.inference.engines import OnnxEngine  # noqa: E402
from okdhp_mm.deploy.onnx.export import export_int8  # noqa: E402
from okdhp_mm.deploy.onnx.quantize import BATCH, before_last_layer, quantize  # noqa: E402
from okdhp_mm.errors import UserError  # noqa: E402


@pytest.fixture(scope='module')
def small(decoded, pictures):
    """The folder of a student with both graphs, and what was lost."""
    folder, _ = decoded
    with pytest.MonkeyPatch.context() as elsewhere:
        # Where `make demo` has left no test data.
        elsewhere.chdir(folder)
        return folder, export_int8(folder, str(pictures), str(pictures))


def kinds_of_convolutions(file):
    """For every convolution, whether its weights come from 8 bits."""
    return [node is not None for node in dequantised_weights(onnx.load(str(file)))]


def dequantised_weights(model):
    """For every convolution the node that makes its weights from 8 bits, or None."""
    makers = {
        output: node
        for node in model.graph.node
        for output in node.output
        if node.op_type == 'DequantizeLinear'
    }
    return [makers.get(node.input[1]) for node in model.graph.node if node.op_type == 'Conv']


def constants(model):
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}


def test_everything_but_the_last_layer_is_in_8_bits(small):
    kinds = kinds_of_convolutions(small[0] / 'student_int8.onnx')
    # The last layer acts on every fourth pixel of the deconvolution's output.
    assert kinds.count(False) == 4
    assert kinds.count(True) > 8
    assert not any(kinds_of_convolutions(small[0] / 'student.onnx'))


def test_weights_have_a_scale_for_every_channel(small):
    model = onnx.load(str(small[0] / 'student_int8.onnx'))
    values = constants(model)
    for node in filter(None, dequantised_weights(model)):
        weights, scales = (values[name] for name in node.input[:2])
        assert scales.shape == weights.shape[:1]
        assert len(np.unique(scales)) > 1


def test_ranges_are_those_of_all_crops(simcc):
    model = onnx.load(str(simcc[0] / 'student.onnx'))
    crops = torch.randn(2 * BATCH, 3, *SIZE[::-1])
    outlier = crops.clone()
    outlier[-1] *= 10
    scales = []
    for each in (crops, outlier):
        after = quantize(model, ('simcc_x', 'simcc_y'), each)
        (node,) = (node for node in after.graph.node if node.input[0] == 'input')
        scales.append(constants(after)[node.input[1]])
    assert scales[1] > 5 * scales[0]


def test_nothing_of_the_decoder_is_in_8_bits(small):
    model = onnx.load(str(small[0] / 'student.onnx'))
    chosen = set(before_last_layer(model, ('output',)))
    kinds = {node.op_type: node.name in chosen for node in model.graph.node}
    assert kinds['Conv'] is False, 'the last one'
    assert not {kind for kind, is_chosen in kinds.items() if is_chosen} & {'ArgMax', 'TopK', 'Sign'}


def test_simcc_stays_float_in_its_last_layers(simcc):
    model = onnx.load(str(simcc[0] / 'student.onnx'))
    chosen = before_last_layer(model, ('simcc_x', 'simcc_y'))
    left = {node.op_type for node in model.graph.node if node.name not in chosen}
    assert left & {'MatMul', 'Gemm'}
    assert 'Conv' not in left


def test_the_maps_are_nearly_the_same_and_the_original_stays(simcc):
    model = onnx.load(str(simcc[0] / 'student.onnx'))
    before = model.SerializeToString()
    crops = torch.randn(8, 3, *SIZE[::-1])
    after = quantize(model, ('simcc_x', 'simcc_y'), crops)
    assert model.SerializeToString() == before
    x, y = (
        onnxruntime.InferenceSession(each).run(['simcc_x'], {'input': crops.numpy()})[0]
        for each in (before, after.SerializeToString())
    )
    assert 0 < abs(x - y).max() < 0.1 * abs(x).max()


def test_the_file_runs_where_the_other_does_and_says_what_it_is(small):
    folder, _ = small
    said = OnnxEngine(folder, 'student_int8.onnx').pose.session.get_modelmeta().custom_metadata_map
    whole = OnnxEngine(folder, 'student.onnx').pose.session.get_modelmeta().custom_metadata_map
    assert said.pop('precision') == '8 bits; the last layer and the decoder float'
    assert whole.items() <= said.items()


def test_the_loss_is_told_without_test_data(small):
    _, loss = small
    assert loss.moved.shape == (5, 17)
    assert loss.moved.any()
    # A heatmap pixel is four image pixels; the network is untrained, so that peaks are flat.
    assert np.median(loss.moved) <= 2
    assert loss.scores is None
    assert str(loss).startswith('on 5 crops half of the keypoints move by at most')
    assert '; no metric: demo_out/data/annotations/' in str(loss)


def test_a_folder_without_a_graph_is_refused(tmp_path, pictures):
    with pytest.raises(UserError, match=r'has no student\.onnx: name the folder'):
        export_int8(tmp_path, str(pictures))


def test_a_folder_without_pictures_to_calibrate_on_is_refused(decoded, tmp_path):
    with pytest.raises(UserError, match='is not a folder with pictures'):
        export_int8(decoded[0], str(tmp_path))
