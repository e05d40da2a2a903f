"""The file of test metrics is complete or not there."""

import errno
import json
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from okdhp_mm.engine.hooks import DurableLoggerHook
from okdhp_mm.engine.runner import DURABLE
from okdhp_mm.io import atomic


def test_a_full_disk_leaves_no_half_file_of_metrics(tmp_path, monkeypatch):
    def log_of(*_, **__):
        return {'coco/AP': 0.5}, 'coco/AP: 0.5'

    runner = SimpleNamespace(
        log_dir=str(tmp_path),
        log_processor=SimpleNamespace(get_log_after_epoch=log_of),
        logger=MMLogger.get_instance('durable'),
        test_dataloader=[],
    )
    hook = DurableLoggerHook()
    hook.json_log_path = 'metrics.json'
    hook.after_test_epoch(runner)
    assert json.loads((tmp_path / 'metrics.json').read_text()) == {'coco/AP': 0.5}
    (tmp_path / 'metrics.json').unlink()

    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(atomic.os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        hook.after_test_epoch(runner)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['LoggerHook', 'mmengine.LoggerHook'])
def test_the_runner_uses_it_in_place_of_mmengines(name):
    assert DURABLE[name] is DurableLoggerHook
