"""Predictions of a test are written completely or not at all."""

import errno
import os
import pickle

import pytest

from okdhp_mm.evaluation import DurableDumpResults
from okdhp_mm.io import atomic


def test_a_full_disk_leaves_the_earlier_predictions(tmp_path, monkeypatch):
    file = tmp_path / 'predictions.pkl'
    DurableDumpResults(str(file)).compute_metrics([dict(id=1)])
    before = file.read_bytes()
    assert pickle.loads(before) == [dict(id=1)]

    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(atomic.os, 'fsync', full)
    with pytest.raises(OSError, match='No space left') as caught:
        DurableDumpResults(str(file)).compute_metrics([dict(id=2)])
    assert caught.value.filename == str(file)
    assert file.read_bytes() == before and os.listdir(tmp_path) == [file.name]
