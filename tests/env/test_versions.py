"""Importing the package says what is wrong with the installed mmpose."""

from sandbox import run_python


def test_without_a_working_mmpose_a_warning_says_that_nothing_is_registered():
    code = """
import sys, warnings
sys.modules['mmdet'] = None
with warnings.catch_warnings(record=True) as caught:
    import okdhp_mm
(text,) = [str(w.message) for w in caught if 'registers nothing' in str(w.message)]
assert 'mmdet' in text and 'doctor' in text, text
assert 'okdhp_mm.models' not in sys.modules
from okdhp_mm.env import doctor
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_an_unsupported_mmpose_is_refused():
    code = "import mmpose; mmpose.__version__ = '2.0.0'; import okdhp_mm"
    result = run_python(code)
    assert result.returncode == 1
    assert 'ImportError: okdhp_mm needs mmpose >=1.2,<2, found 2.0.0' in result.stderr
