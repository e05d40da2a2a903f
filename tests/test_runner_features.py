"""Features of mmengine's runners: autocast, accumulation, memory formats, compiling."""

import copy

import pytest
import torch
from common import batch, make_model
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from torch._dynamo.testing import CompileCounter

from okdhp_mm.structures import ENSEMBLE


def ready(**changes):
    """An initialized model half way through its training, with independent samples."""
    model = make_model(**changes)
    model.init_weights()
    model.head.distiller.set_progress(0.5)
    return model.eval()


def losses_of(model, data, forward=None):
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    losses = (forward or model)(**inputs, mode='loss')
    return {name: value for name, value in losses.items() if 'loss' in name}


def backward(model, data):
    sum(losses_of(model, data).values()).backward()


def test_two_accumulated_steps_are_one_step_of_the_joint_batch():
    data = batch(4)
    whole = ready()
    halves = copy.deepcopy(whole)

    def step(model, parts, counts):
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1), accumulative_counts=counts)
        wrapper.initialize_count_status(model, 0, counts)
        for part in parts:
            wrapper.update_params(sum(losses_of(model, part).values()))
        return model.state_dict()

    parts = [{name: values[i : i + 2] for name, values in data.items()} for i in (0, 2)]
    expected = step(whole, [data], 1)
    for name, value in step(halves, parts, 2).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_trains_every_parameter_to_about_the_same_loss(dtype):
    model, data = ready(), batch(2)
    exact = losses_of(model, data)
    with torch.autocast('cpu', dtype=dtype):
        losses = losses_of(model, data)
    for name, value in losses.items():
        assert value.dtype == torch.float32, name
        torch.testing.assert_close(value, exact[name], rtol=0.1, atol=1e-4)
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_channels_last_changes_nothing_but_the_layout():
    model, data = ready(), batch(2)
    expected = losses_of(model, data)
    model = model.to(memory_format=torch.channels_last)
    for name, value in losses_of(model, data).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
    backward(model, data)
    assert all(p.grad is not None for p in model.parameters())


def test_compiled_forward_gives_the_same_losses_while_progress_moves():
    model, data = ready(), batch(2)
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(model.head.distiller.forward, backend=counter)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    outputs = model.head.outputs(model.backbone(inputs['inputs']))
    targets = model.head.targets(outputs, inputs['data_samples'])
    for progress in (0.1, 0.2, 0.3, 0.4):
        model.head.distiller.set_progress(progress)
        expected = model.head.distiller(outputs, targets)
        for name, value in compiled(outputs, targets).items():
            torch.testing.assert_close(value, expected[name])
        if progress == 0.1:
            graphs = counter.frame_count
    assert counter.frame_count == graphs, 'a new value of the progress compiles anew'


def test_an_average_of_weights_predicts_and_keeps_the_names():
    model, data = ready(), batch(2)
    average = ExponentialMovingAverage(model, momentum=0.5, update_buffers=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    average.update_parameters(model)
    assert average.module.state_dict().keys() == model.state_dict().keys()
    inputs = model.data_preprocessor(copy.deepcopy(data), training=False)
    with torch.no_grad():
        samples = average.module(**inputs, mode='predict')
    assert ENSEMBLE in samples[0].pred_outputs
