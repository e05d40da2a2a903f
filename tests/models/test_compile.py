"""torch.compile sees a training step as one graph: nothing on the way asks Python, or the host."""

import pytest
import torch
from common import batch, make_model


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
    model.head.distiller.set_progress(0.5)
    data = model.data_preprocessor(batch(), training=True)
    found = torch._dynamo.explain(lambda inputs: model.loss(inputs, data['data_samples']))(
        data['inputs']
    )
    assert [reason.reason for reason in found.break_reasons] == []
    assert found.graph_count == 1
