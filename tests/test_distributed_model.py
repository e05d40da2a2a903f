"""Two processes on gloo train as one with the joint batch does."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import torch
from common import batch, make_model, observe

WORLD = 2


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


def backward(model, wrapped, data):
    """One step's gradients, with the running statistics, so that samples are independent."""
    model.eval()
    torch.manual_seed(0)
    inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
    losses = wrapped(**inputs, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return gradients(model)


def slice_of(data, start, stop):
    return {name: values[start:stop] for name, values in data.items()}


def worker(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=WORLD
    )
    saved = torch.load(folder / 'job.pt', weights_only=False)  # written by the test below
    model = make_model()
    model.load_state_dict(saved['weights'])
    model.head.distiller.set_progress(1.0)
    # The default: a parameter that a step leaves out would make the next one hang or fail.
    wrapped = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=False)
    part = slice_of(saved['data'], rank * 2, rank * 2 + 2)
    reports = observe(model.head.distiller)  # which must not disturb what the wrapper counts
    result = backward(model, wrapped, part)
    assert len(reports) == 1
    model.head.distiller.observer = None
    model.zero_grad()
    backward(model, wrapped, part)
    if rank == 0:
        torch.save(result, folder / 'gradients.pt')


def test_gradients_of_two_processes_are_those_of_the_joint_batch(tmp_path):
    model, data = make_model(), batch(4)
    model.init_weights()
    model.head.distiller.set_progress(1.0)
    torch.save(dict(weights=model.state_dict(), data=data), tmp_path / 'job.pt')
    command = [sys.executable, __file__]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path)], env=os.environ | {'OMP_NUM_THREADS': '1'}
        )
        for rank in range(WORLD)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]

    expected = backward(model, model, data)
    found = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)
    assert all(gradient.abs().sum() > 0 for gradient in expected.values())


if __name__ == '__main__':
    worker(int(sys.argv[1]), Path(sys.argv[2]))
