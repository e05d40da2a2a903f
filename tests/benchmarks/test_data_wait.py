"""The share of a step that waits for data."""

import runpy
import sys
import time

import data_wait
import pytest
from real_persons import config_of


def test_config_of_finds_the_data_and_drops_downloads(config, mpii):
    found = config_of(str(config), str(mpii))
    assert found.train_dataloader.dataset.data_root == f'{mpii}/'
    assert found.val_dataloader.dataset.headbox_file == str(
        mpii / 'annotations' / 'mpii_gt_val.mat'
    )
    assert 'init_cfg' not in found.model.backbone


def test_waiting_and_working_are_told_apart():
    def slow_batches():
        for batch in range(2):
            time.sleep(0.05)
            yield batch

    class Network:
        def train_step(self, batch, optimizer):
            time.sleep(0.1)

    for iteration in data_wait.iterations(Network(), None, slow_batches(), 2):
        assert iteration.wait > 0.04
        assert iteration.step > 0.09
        assert iteration.busy < 0.04


@pytest.mark.slow
def test_the_script_tells_waiting_from_working(config, mpii, monkeypatch, capsys):
    arguments = [str(config), '--data', str(mpii), *'--batch-size 2 --steps 2 --persons 2'.split()]
    monkeypatch.setattr(sys, 'argv', ['data_wait.py', *arguments])
    runpy.run_path(data_wait.__file__, run_name='__main__')
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].endswith('of the time waits for data')
    assert lines[-1].startswith('a person takes')
