"""The patches of `okdhp_mm.env.compat` are needed, work, and give way to compiled operators."""

import sys
from pathlib import Path

import pytest
from sandbox import compile_mmcv_ext, copy_opless_mmcv, run_python

from okdhp_mm.env import _mmcv_ext, compat

# With it on the path, `import compat` imports the one module without okdhp_mm's registration.
PACKAGE = Path(compat.__file__).parent


@pytest.fixture
def opless_mmcv(tmp_path):
    return copy_opless_mmcv(tmp_path)


def test_without_the_patch_mmpose_does_not_import(opless_mmcv):
    result = run_python('import mmpose.models', PYTHONPATH=opless_mmcv)
    assert result.returncode == 1
    assert "No module named 'mmcv._ext'" in result.stderr


def test_importing_okdhp_mm_makes_mmpose_importable(opless_mmcv):
    code = """
import okdhp_mm
import mmpose.apis, mmpose.evaluation, mmpose.models
from okdhp_mm import compat
assert compat.is_active()

import mmcv.utils, mmcv.ops, torch
assert mmcv.utils.collect_env()['MMCV Compiler'] == 'n/a'
mmcv.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
"""
    result = run_python(code, PYTHONPATH=opless_mmcv)
    # Everything but the last line, the call of an operator, succeeded.
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("RuntimeError: the operator 'nms' needs mmcv with compiled ops")
    assert message.endswith(_mmcv_ext.COMPILE_COMMAND)


def test_compiled_ops_win_over_patch_and_over_stand_in_file(opless_mmcv):
    compiled = compile_mmcv_ext(opless_mmcv / 'mmcv')
    (opless_mmcv / 'mmcv' / '_ext.py').write_bytes(compat.MMCV_EXT_STAND_IN.read_bytes())
    code = """
import compat
compat.apply()
import mmcv._ext
print(mmcv._ext.__file__, compat.is_active())
"""
    result = run_python(code, PYTHONPATH=f'{opless_mmcv}:{PACKAGE}')
    assert result.stdout.split() == [str(compiled), 'False'], result.stderr


def test_compiled_ops_that_do_not_load_are_not_hidden(opless_mmcv):
    compile_mmcv_ext(opless_mmcv / 'mmcv').write_bytes(b'not a shared object')
    code = 'import compat; compat.apply(); import mmcv._ext'
    result = run_python(code, PYTHONPATH=f'{opless_mmcv}:{PACKAGE}')
    assert result.returncode == 1
    assert 'ImportError' in result.stderr


def test_compat_imports_nothing_heavy():
    code = (
        'import compat, sys; compat.apply(); print({"torch", "mmcv", "mmengine"} & {*sys.modules})'
    )
    result = run_python(code, PYTHONPATH=PACKAGE)
    assert result.stdout.strip() == 'set()', result.stderr


def test_apply_twice_adds_one_finder():
    compat.apply()
    compat.apply()
    finders = [finder for finder in sys.meta_path if type(finder).__name__ == '_MmcvExtFinder']
    assert len(finders) == 1


def test_stand_in_has_every_operator_and_no_dunder():
    assert callable(_mmcv_ext.any_operator)
    with pytest.raises(AttributeError):
        _mmcv_ext.__wrapped__  # noqa: B018
