"""torch.compile sees a training step as one graph: nothing on the way asks Python, or the host."""

import pytest
import torch
from common import batch, build, make_model, okdhp_model

from okdhp_mm.recipes.methods import apply_method


@pytest.fixture(autouse=True)
def forget_graphs():
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ('name', 'split'),
    [
        pytest.param('hrnet', 'stage3', marks=pytest.mark.slow),
        pytest.param('hrnet', 'whole', marks=pytest.mark.slow),
        ('resnet', 'layer3'),
    ],
)
def test_a_step_is_one_graph(name, split):
    # The training accuracy is the host's, in numpy.
    model = make_model(name, split=split, train_cfg=dict(compute_acc=False)).train()
    assert_one_graph(model, batch())


@pytest.mark.parametrize(
    'method', ['okdhp_unlabeled', pytest.param('pose_dual', marks=pytest.mark.slow)]
)
def test_a_step_with_unlabeled_images_is_one_graph(method):
    config = okdhp_model('resnet')
    apply_method(config, method)
    config.train_cfg = dict(compute_acc=False)
    model = build(config).train()
    if model.ema is not None:
        model.ema.start(model)
    data = batch(4)
    for sample in data['data_samples'][2:]:
        sample.set_metainfo(dict(unlabeled=True))
    assert_one_graph(model, data)


def assert_one_graph(model, data):
    model.head.distiller.set_progress(0.5)
    data = model.data_preprocessor(data, training=True)
    found = torch._dynamo.explain(lambda inputs: model.loss(inputs, data['data_samples']))(
        data['inputs']
    )
    assert [reason.reason for reason in found.break_reasons] == []
    assert found.graph_count == 1
