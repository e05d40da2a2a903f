"""The doctor tells a working environment from broken ones, and never falls over."""

import sys
import venv
from importlib import metadata
from pathlib import Path

import mmpose
import pytest
from sandbox import compile_mmcv_ext, copy_opless_mmcv, run, run_python


@pytest.fixture
def opless_mmcv(tmp_path):
    return copy_opless_mmcv(tmp_path)


@pytest.fixture
def bare_python(tmp_path):
    """An interpreter that has no packages at all."""
    venv.create(tmp_path / 'bare', symlinks=True)
    return tmp_path / 'bare' / 'bin' / 'python'


def doctor(*arguments, python=sys.executable, **environment):
    return run(python, '-m', 'okdhp_mm.env.doctor', *arguments, **environment)


def report_of(result):
    """The report as {subject: (status, detail, repair)}; fails on anything like a traceback."""
    assert 'Traceback' not in result.stderr, result.stderr
    report, subject = {}, None
    for line in result.stdout.partition('patches:')[0].splitlines():
        if '-> ' in line and not line[0].strip():
            report[subject][2] = line.split('-> ')[1]
        else:
            subject, status, detail = (
                line[: line.index('  ')],
                *line.split('  ', 1)[1].split(None, 1),
            )
            report[subject] = [status, detail, '']
    return report


def test_working_environment():
    result = doctor()
    assert result.returncode == 0, result.stdout
    assert result.stdout.endswith('mmpose can work\n')
    report = report_of(result)
    for name in ('torch', 'torchvision', 'numpy', 'mmpose'):
        assert report[name][:2] == ['ok', f'{name} {metadata.version(name)}']


def test_nothing_is_installed(bare_python):
    result = doctor(python=bare_python)
    assert result.returncode == 1
    report = report_of(result)
    for name in ('torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'xtcocotools'):
        assert report[name][:2] == ['broken', 'not installed']
        assert 'pip install' in report[name][2]
    assert report['mim'][0] == 'note'
    assert 'mmpose cannot work' in result.stdout


def test_package_that_does_not_load(tmp_path):
    (tmp_path / 'xtcocotools').mkdir()
    (tmp_path / 'xtcocotools' / '__init__.py').write_text(
        'raise ValueError("numpy.dtype size changed,\\nmay indicate binary incompatibility")'
    )
    result = doctor(PYTHONPATH=tmp_path)
    assert result.returncode == 1
    status, detail, repair = report_of(result)['xtcocotools']
    assert status == 'broken'
    assert 'does not import: ValueError: numpy.dtype size changed, may' in detail
    assert '--no-binary xtcocotools' in repair


def test_mmpose_without_its_configs(tmp_path):
    (tmp_path / 'mmpose').mkdir()
    for path in Path(mmpose.__file__).parent.iterdir():
        if path.name != '.mim':
            (tmp_path / 'mmpose' / path.name).symlink_to(path)
    result = doctor(PYTHONPATH=tmp_path)
    assert result.returncode == 1
    report = report_of(result)
    assert report['mmpose'][0] == 'ok'
    assert report['mmpose .mim'][0] == 'broken'


def test_stand_in_file_lets_stock_mmpose_import(opless_mmcv):
    for _ in range(2):
        result = doctor('--install-mmcv-stand-in', PYTHONPATH=opless_mmcv)
        assert result.returncode == 0, result.stderr
    code = 'import sys; sys.modules["okdhp_mm"] = None; import mmpose.models, mmcv; print(mmcv)'
    result = run_python(code, PYTHONPATH=opless_mmcv)
    assert str(opless_mmcv) in result.stdout, result.stderr
    assert report_of(doctor(PYTHONPATH=opless_mmcv))['mmcv ops'][0] == 'patched'


@pytest.mark.parametrize('present', ['compiled', 'foreign'])
def test_stand_in_file_replaces_nothing(opless_mmcv, present):
    folder = opless_mmcv / 'mmcv'
    if present == 'compiled':
        compile_mmcv_ext(folder)
    else:
        (folder / '_ext.py').write_text('nms = None')
    before = sorted(path.name for path in folder.glob('_ext*'))
    result = doctor('--install-mmcv-stand-in', PYTHONPATH=opless_mmcv)
    assert result.returncode == 1
    assert 'nothing is replaced' in result.stderr
    assert sorted(path.name for path in folder.glob('_ext*')) == before


def test_no_mmcv_to_put_the_stand_in_into(bare_python):
    result = doctor('--install-mmcv-stand-in', python=bare_python)
    assert result.returncode == 1
    assert 'mmcv is not installed' in result.stderr
    assert 'Traceback' not in result.stderr
