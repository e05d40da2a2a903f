"""Configs of the package, by name."""

from pathlib import Path

import pytest

from okdhp_mm.errors import UserError
from okdhp_mm.io.config import read_config
from okdhp_mm.io.shipped_configs import config_folder, config_names, find_config

HRNET = 'okdhp/hrnet_w32_coco.py'


@pytest.mark.parametrize('name', [f'configs/{HRNET}', HRNET, Path(HRNET).name])
def test_a_config_of_the_package_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == config_folder() / HRNET
    assert Path(read_config(name).filename) == config_folder() / HRNET


def test_a_file_comes_before_a_config_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('demo.py').write_text('mine = True')
    assert read_config('demo.py').mine


def test_file_names_are_unique():
    names = [Path(name).name for name in config_names()]
    assert len(set(names)) == len(names) > 20
    assert not any(name.startswith('_base_') for name in config_names())


@pytest.mark.parametrize(
    'name', ['head_only/hrnet_w32_coco.py', '/configs/okdhp/demo.py', 'other/okdhp/demo.py']
)
def test_another_folder_is_another_config(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f'The config {name} does not exist.'):
        find_config(name)


def test_a_wrong_name_is_answered_with_similar_ones():
    with pytest.raises(UserError, match='Similar configs of okdhp_mm: .*okdhp/resnet18_coco.py'):
        find_config('resnet_18_coco.py')
    with pytest.raises(UserError) as caught:
        find_config('')
    assert 'Similar' not in str(caught.value)
