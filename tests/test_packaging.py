"""The wheel and the sdist: names, metadata and what `mim` looks for, from really built ones."""

import email
import re
import shutil
import sys
import tarfile
import zipfile
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
from sandbox import ROOT, run

from okdhp_mm import __version__
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.io.shipped_configs import config_names

SOURCES = ('configs', 'okdhp_mm', 'tools', 'setup.py', 'pyproject.toml', 'MANIFEST.in')
SOURCES += ('LICENSE', 'model-index.yml', 'constraints.txt')
NO_NETWORK = ('--no-build-isolation', '--no-deps', '--no-index', '--quiet')


def build_wheel(source, folder):
    result = run(sys.executable, '-m', 'pip', 'wheel', *NO_NETWORK, '--wheel-dir', folder, source)
    assert result.returncode == 0, result.stderr
    (wheel,) = folder.glob('*.whl')
    return wheel


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    """A copy of the sources, where a build does not disturb other tests."""
    folder = tmp_path_factory.mktemp('tree')
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__')
            )
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope='module')
def wheel(tree, tmp_path_factory):
    return build_wheel(tree, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """The folder that the wheel is installed into."""
    folder = tmp_path_factory.mktemp('installed')
    result = run(sys.executable, '-m', 'pip', 'install', *NO_NETWORK, '--target', folder, wheel)
    assert result.returncode == 0, result.stderr
    return folder


def files_below(folder):
    return {
        path for path in folder.rglob('*') if path.is_file() and '__pycache__' not in path.parts
    }


def test_wheel_holds_the_package_and_what_mim_needs(tree, names):
    expected = {
        f'okdhp_mm/{p.relative_to(tree / "okdhp_mm")}' for p in files_below(tree / 'okdhp_mm')
    }
    for part in ('configs', 'tools'):
        expected |= {f'okdhp_mm/.mim/{p.relative_to(tree)}' for p in files_below(tree / part)}
    expected.add('okdhp_mm/.mim/model-index.yml')
    assert {name for name in names if '.dist-info/' not in name} == expected


def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith('/METADATA'))
        message = email.message_from_bytes(archive.read(name))
    assert (message['Name'], message['Version']) == ('okdhp-mmpose', __version__)
    required = [line for line in message.get_all('Requires-Dist') if 'extra ==' not in line]
    assert {re.match(r'[\w-]+', line).group() for line in required} == {
        'torch',
        'torchvision',
        'numpy',
        'mmpose',
        'tensorboard',
        'six',
        'setuptools',
    }, 'mmcv and mmengine, of either distribution name, are the users own'


def test_mim_resolves_the_package(names, installed):
    # onedl-mim takes the first path component in RECORD for the package; a console script would
    # come first there, and openmim reads top_level.txt.
    assert not any(name.endswith('entry_points.txt') for name in names)
    (distribution,) = metadata.distributions(name='okdhp-mmpose', path=[str(installed)])
    assert distribution.files[0].parts[0] == 'okdhp_mm'
    assert distribution.read_text('top_level.txt').split() == ['okdhp_mm']


def command(installed, cwd, *arguments):
    """Run a command of the installed wheel in another folder."""
    variables = dict(PYTHONPATH=installed, OKDHP_DEBUG=1)
    return run(sys.executable, '-m', 'okdhp_mm', *arguments, cwd=cwd, **variables)


def test_a_command_of_the_wheel_finds_its_configs_from_another_folder(installed, tmp_path):
    refused = command(installed, tmp_path, 'train', 'okdhp/demo.py')
    assert refused.returncode == 1
    assert 'error: demo_out/data/annotations/person_keypoints_train2017.json' in refused.stderr
    assert f'{installed}/okdhp_mm/commands/train.py' in refused.stderr, 'not the checkout'


@pytest.mark.slow
def test_the_wheel_trains_and_exports_in_another_folder(installed, tmp_path):
    for part, figures in (('train', 4), ('val', 2)):
        write_coco(tmp_path / 'demo_out' / 'data', part, figures, seed=0)
    options = ('train_cfg.max_epochs=1', 'train_dataloader.batch_size=4')
    options += ('train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False')
    checkpoint = 'work_dirs/demo/epoch_1.pth'
    for arguments in (
        ('train', 'okdhp/demo.py', '--cfg-options', *options),
        ('test', 'demo.py', checkpoint),
        ('export', 'configs/okdhp/demo.py', checkpoint, 'student'),
        ('infer', 'demo_out/data/val2017', '--student', 'student'),
    ):
        result = command(installed, tmp_path, *arguments)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / 'student' / 'student.pth').is_file()
    assert len(list((tmp_path / 'infer_out' / 'predictions').iterdir())) == 2


def test_mim_finds_the_configs_by_their_file_names(names):
    # It searches the whole package for the name, and refuses one that several files have.
    files = Counter(name.rpartition('/')[2] for name in names)
    configs = {Path(name).name for name in config_names()} - {'demo.py'}  # also a command's name
    assert len(configs) > 20
    assert {name for name in configs if files[name] != 1} == set()


def test_sdist_builds_the_same_wheel(tree, names, tmp_path):
    code = 'from setuptools import build_meta as b; import sys; b.build_sdist(sys.argv[1])'
    result = run(sys.executable, '-c', code, tmp_path, cwd=tree)
    assert result.returncode == 0, result.stderr
    (sdist,) = tmp_path.glob('*.tar.gz')
    with tarfile.open(sdist) as archive:
        assert 'constraints.txt' in {name.split('/', 1)[-1] for name in archive.getnames()}
    with zipfile.ZipFile(build_wheel(sdist, tmp_path)) as archive:
        assert set(archive.namelist()) == names


def test_build_leaves_no_copies_in_the_sources(tree, wheel):
    assert not (tree / 'okdhp_mm' / '.mim').exists()


def test_file_deleted_from_configs_leaves_the_next_wheel(tree, wheel, tmp_path):
    extra = tree / 'configs' / 'extra.py'
    for present in (True, False):
        extra.touch() if present else extra.unlink()
        folder = tmp_path / str(present)
        folder.mkdir()
        with zipfile.ZipFile(build_wheel(tree, folder)) as archive:
            assert ('okdhp_mm/.mim/configs/extra.py' in archive.namelist()) == present


def test_model_index():
    loader = pytest.importorskip('modelindex.load_model_index', reason='comes with openmim')
    index = loader.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    configs = {
        f'{path.parent.name}_{path.stem.removeprefix("head_only_")}': str(path.relative_to(ROOT))
        for path in (ROOT / 'configs').glob('[!_]*/*.py')
    }
    configs.pop('okdhp_demo')  # whose data only the demo has
    assert {model.name: model.config for model in index.models} == configs
    assert all(name == name.lower() for name in configs), 'mim lower-cases what it searches for'
