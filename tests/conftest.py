"""Fixtures that every test may use."""

import os
from pathlib import Path

# Tiny networks gain nothing from a second thread, and on a busy machine the threads wait for each
# other: five times the processor time was measured. Before torch is imported, and for every
# process that a test starts.
os.environ.setdefault('OMP_NUM_THREADS', '1')
# The expected numbers are a CPU's. CUDA_VISIBLE_DEVICES=0 runs the tests on a GPU.
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from mmengine.fileio.handlers import file_handlers  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.runner import CheckpointLoader  # noqa: E402

ROOT = Path(__file__).parents[1]
LOADERS = dict(CheckpointLoader._schemes)
HANDLERS = dict(file_handlers)
LOAD_ARRAYS = np.load


@pytest.fixture(autouse=True, scope='module')
def _mmposes_scope():
    """Whatever runner, with a scope of its own, another module has left."""
    init_default_scope('mmpose')


@pytest.fixture(autouse=True)
def _same_numbers_each_time():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _mmengines_own_loaders(monkeypatch):
    """Whatever a test, or what it shares with others, runs in this process."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(LOADERS))
    monkeypatch.setattr(np, 'load', LOAD_ARRAYS)
    for extension, handler in HANDLERS.items():
        monkeypatch.setitem(file_handlers, extension, handler)


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Development data: real photographs and the numbers of the authors' code."""
    root = Path(os.environ.get('OKDHP_DATA', ROOT.parent / 'shared' / 'data'))
    if not root.is_dir():
        pytest.skip(f'the development data is not at {root}; set OKDHP_DATA to where it is')
    return root


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """The runner after a small training; its work_dir holds what the hooks wrote."""
    from runs import runner_of

    runner = runner_of(tmp_path_factory.mktemp('trained'))
    runner.train()
    return runner
