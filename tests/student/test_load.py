"""What is loaded from the folder of a student, and what else is not changed by it."""

import pytest
import torch
from mmengine.runner import CheckpointLoader
from students import write_student

from okdhp_mm.deploy.inference.engines import TorchEngine
from okdhp_mm.errors import UserError
from okdhp_mm.student.load import load_student


class Hostile:
    """A pickle that would print when it is loaded."""

    def __reduce__(self):
        return print, ('it was run',)


@pytest.mark.parametrize('load', [load_student, TorchEngine])
def test_a_student_is_loaded_safely_and_the_host_goes_on_as_it_did(tmp_path, load, capsys):
    folder = write_student(tmp_path)
    schemes = CheckpointLoader._schemes
    load(folder)
    torch.save(dict(state_dict={}, meta=Hostile()), folder / 'student.pth')
    with pytest.raises(UserError, match='is refused'):
        load(folder)
    assert 'it was run' not in capsys.readouterr().out
    assert CheckpointLoader._schemes is schemes
