"""onnxruntime against eager PyTorch, at the size of a toy."""

import sys

import pytest
import torch

for package in ('onnx', 'onnxruntime', 'onnxscript'):
    pytest.importorskip(package, reason="comes with pip install -e '.[onnx]'")


@pytest.mark.slow
def test_the_script_prints_a_line_for_every_config(config, monkeypatch, capsys):
    import onnx_speed

    monkeypatch.setattr(torch, 'set_num_threads', lambda number: None)  # of the other tests
    monkeypatch.setattr(sys, 'argv', ['onnx_speed.py', str(config), '--rounds', '2'])
    onnx_speed.main()
    *_, head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ['eager', 'graph', 'int8']
    assert line.startswith('tiny_mpii ')
    assert line.count('ms') == 3 and line.count('(') == 2
