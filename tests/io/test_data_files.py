"""Data files and configs are read, and nothing in them runs."""

import pickle

import mmengine
import numpy as np
import pytest
from common import Touch
from mmengine.config import Config
from mmpose.registry import DATASETS

from okdhp_mm.data.files import as_data_error, check_data
from okdhp_mm.errors import UserError
from okdhp_mm.io.checkpoint import use_safe_loader
from okdhp_mm.io.config import read_config
from okdhp_mm.io.data_files import safe_handlers
from okdhp_mm.recipes.convert import convert_config


@pytest.fixture
def marker(tmp_path):
    return tmp_path / 'it-was-run'


@pytest.fixture(params=['yaml', 'yml', 'pkl', 'pickle'])
def hostile(request, marker, tmp_path):
    """A data file that creates the marker if it is read as mmengine reads it by default."""
    file = tmp_path / f'boxes.{request.param}'
    if request.param.startswith('y'):
        file.write_text(f'a: !!python/object/apply:os.mkdir ["{marker}"]\n')
    else:
        file.write_bytes(pickle.dumps(Touch(marker)))
    return file


def test_the_file_does_run_by_default(hostile, marker):
    mmengine.load(hostile)
    assert marker.exists()


def test_a_data_file_with_code_is_refused(hostile, marker):
    with safe_handlers(), pytest.raises(UserError, match='is refused, because .* can run code'):
        mmengine.load(hostile)
    assert not marker.exists()


def test_the_tools_refuse_it_too(hostile, marker):
    use_safe_loader()
    with pytest.raises(UserError, match='is refused'):
        mmengine.load(hostile)
    assert not marker.exists()


def test_plain_yaml_is_read_and_pickles_are_written(tmp_path):
    with safe_handlers():
        mmengine.dump(dict(a=[1, 'b']), tmp_path / 'plain.yaml')
        mmengine.dump(dict(a=(1, 2)), tmp_path / 'metrics.pkl')
        assert mmengine.load(tmp_path / 'plain.yaml') == dict(a=[1, 'b'])
    assert mmengine.load(tmp_path / 'metrics.pkl') == dict(a=(1, 2)), 'as before'


@pytest.mark.parametrize('inherited', [False, True])
def test_a_yaml_config_with_tags_is_refused_and_a_plain_one_is_read(inherited, marker, tmp_path):
    (tmp_path / 'plain.yaml').write_text('model:\n  type: A\n')
    (tmp_path / 'evil.yaml').write_text(f'a: !!python/object/apply:os.mkdir ["{marker}"]\n')
    files = {name: tmp_path / f'{name}.yaml' for name in ('plain', 'evil')}
    if inherited:
        for name, base in files.items():
            files[name] = tmp_path / f'{name}.py'
            files[name].write_text(f'_base_ = {str(base)!r}\n')
    assert read_config(files['plain']).model.type == 'A'
    with pytest.raises(UserError, match=f'{files["evil"].name} cannot be read. A YAML file is'):
        read_config(files['evil'])
    with pytest.raises(UserError, match='A YAML file is refused'):
        convert_config(str(files['evil']), tmp_path / 'out.py')
    assert not marker.exists()


@pytest.mark.parametrize('name', ['h3wb.npz', 'h3wb.npy', 'h3wb.json'])
def test_arrays_of_objects_do_not_run(name, marker, tmp_path):
    """mmpose's H3WB dataset allows them."""
    file, objects = tmp_path / name, np.array([Touch(marker)], dtype=object)
    if name.endswith('npz'):
        np.savez(file, metadata=objects, train_data=objects)
    elif name.endswith('npy'):
        np.save(file, objects)
    else:
        file.write_bytes(pickle.dumps(Touch(marker)))
    dataset = dict(type='H36MWholeBodyDataset', ann_file=str(file), metainfo={}, pipeline=[])
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    sentence = f'{name} has an array of pickled objects, which can run code'
    with safe_handlers(), pytest.raises(UserError, match=sentence), as_data_error(cfg, 'train'):
        DATASETS.build(cfg.train_dataloader.dataset)
    assert not marker.exists()


def test_plain_arrays_are_read(tmp_path):
    np.savez(tmp_path / 'plain.npz', a=np.arange(3))
    with safe_handlers():
        assert np.load(tmp_path / 'plain.npz', allow_pickle=True)['a'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('key', ['bbox_file', 'ann_file'])
def test_a_config_that_names_a_pickle_is_refused_with_the_option(key, tmp_path):
    file = tmp_path / 'persons.pkl'
    file.touch()
    dataset = {'type': 'CocoDataset', key: str(file)}
    cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    sentence = rf'persons\.pkl is a pickle.*JSON.*test_dataloader\.dataset\.{key}='
    with pytest.raises(UserError, match=sentence):
        check_data(cfg, 'test')
