"""Load the folder of a student without changing other loaders."""

import pytest
import torch
from mmengine.runner import CheckpointLoader
from students import write_student

from okdhp_mm.deploy.inference.engines import TorchEngine
from okdhp_mm.errors import UserError
from okdhp_mm.student.load import load_student, names_and_skeleton


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


@pytest.mark.parametrize('load', [load_student, TorchEngine])
def test_the_checkpoint_of_another_student_is_refused(tmp_path, load):
    """mmpose would predict with random weights in place of those that it cannot load."""
    folder = write_student(tmp_path)
    content = torch.load(folder / 'student.pth')
    state = content['state_dict']
    name = next(name for name in state if name.startswith('head.') and state[name].ndim == 4)
    for other in (
        {'stranger.weight': torch.zeros(1)},
        {each: value for each, value in state.items() if each != name},
        state | {name: state[name][:5]},
    ):
        torch.save(content | dict(state_dict=other), folder / 'student.pth')
        with pytest.raises(UserError, match=r'student.pth is not a checkpoint of the network in'):
            load(folder)


def test_names_are_in_the_order_of_their_indices():
    meta = dict(keypoint_id2name={1: 'b', 0: 'a'}, skeleton_links=[(0, 1)])
    assert names_and_skeleton(meta) == (['a', 'b'], [[0, 1]])


@pytest.mark.parametrize(
    'change',
    [
        dict(keypoint_id2name='import os'),
        dict(keypoint_id2name=['a', 'b']),
        dict(keypoint_id2name={0: 'a', 2: 'b'}),
        dict(keypoint_id2name={0: 'a', 'one': 'b'}),
        dict(keypoint_id2name={0: 'a', 1: 7}),
        dict(keypoint_id2name=None),
        dict(skeleton_links=None),
        dict(skeleton_links='01'),
        dict(skeleton_links=[(0, 2)]),
        dict(skeleton_links=[(0, 1, 1)]),
        dict(skeleton_links=[(0, [])]),
    ],
    ids=str,
)
def test_names_and_lines_that_are_none_are_refused(change):
    meta = dict(keypoint_id2name={0: 'a', 1: 'b'}, skeleton_links=[(0, 1)])
    with pytest.raises(UserError, match='dataset_meta of the student is damaged'):
        names_and_skeleton(meta | change)


@pytest.mark.parametrize(
    ('damaged', 'reason'),
    [('import os', 'its dataset_meta is not a dict, but of type str'), ({'a': 1}, 'is damaged')],
)
def test_an_engine_refuses_a_damaged_metainfo(tmp_path, damaged, reason):
    folder = write_student(tmp_path)
    content = torch.load(folder / 'student.pth')
    torch.save(content | dict(meta=dict(dataset_meta=damaged)), folder / 'student.pth')
    with pytest.raises(UserError, match=reason):
        TorchEngine(folder)
