"""onnxruntime against eager PyTorch, at the size of a toy."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from okdhp_mm.deploy.onnx import graph

SCRIPT = Path(__file__).parents[2] / 'benchmarks' / 'onnx_speed.py'


def test_the_script_starts_without_onnx_and_names_it(monkeypatch, capsys):
    for package in graph.PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    main = runpy.run_path(str(SCRIPT))['main']
    monkeypatch.setattr(sys, 'argv', ['onnx_speed.py', '--help'])
    with pytest.raises(SystemExit, match='^0$'):
        main()
    assert '--rounds' in capsys.readouterr().out
    monkeypatch.setattr(graph, 'PACKAGES', ('onnx_that_is_nowhere',))
    monkeypatch.setattr(sys, 'argv', ['onnx_speed.py'])
    with pytest.raises(SystemExit, match='error: ONNX needs onnx_that_is_nowhere: pip install'):
        main()
    assert not capsys.readouterr().out


@pytest.mark.slow
def test_the_script_prints_a_line_for_every_config(config, monkeypatch, capsys):
    for package in graph.PACKAGES:
        pytest.importorskip(package, reason="comes with pip install -e '.[onnx]'")
    import onnx_speed

    monkeypatch.setattr(torch, 'set_num_threads', lambda number: None)  # of the other tests
    monkeypatch.setattr(sys, 'argv', ['onnx_speed.py', str(config), '--rounds', '2'])
    onnx_speed.main()
    *_, head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ['eager', 'graph', 'int8']
    assert line.startswith('tiny_mpii ')
    assert line.count('ms') == 3 and line.count('(') == 2
