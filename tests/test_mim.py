"""`mim` with a wheel, with an editable install, and with an exported student in stock mmpose."""

import json
import shutil
import sys
import sysconfig
import venv

import cv2
import numpy as np
import pytest
from sandbox import ROOT, run, run_python

pytest.importorskip('mim.cli', reason='needs openmim: tools/setup_env.sh installs it')
pytestmark = pytest.mark.slow

CONFIG = 'configs/okdhp/hrnet_w32_coco.py'
MIM = 'from mim.cli import cli; cli()'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """One person in COCO's format."""
    folder = tmp_path_factory.mktemp('coco')
    image = np.random.default_rng(0).integers(0, 255, (120, 90, 3), dtype=np.uint8)
    (folder / 'val2017').mkdir()
    cv2.imwrite(str(folder / 'val2017' / '1.jpg'), image)
    keypoints = [value for k in range(17) for value in (20 + 3 * k, 20 + 5 * k, 2)]
    person = dict(id=1, image_id=1, category_id=1, iscrowd=0, num_keypoints=17, area=5000)
    person.update(bbox=[10, 10, 70, 100], keypoints=keypoints)
    (folder / 'annotations').mkdir()
    (folder / 'annotations' / 'person_keypoints_val2017.json').write_text(
        json.dumps(
            dict(
                images=[dict(id=1, file_name='1.jpg', width=90, height=120)],
                annotations=[person],
                categories=[dict(id=1, name='person')],
            )
        )
    )
    return folder


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """An untrained model: what is tested is the way to the tool."""
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_0.pth'
    code = f"""
import okdhp_mm, torch
from mmengine.config import Config
from mmpose.registry import MODELS
from mmpose.utils import register_all_modules
register_all_modules()
cfg = Config.fromfile({CONFIG!r})
torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta={{}}), {str(path)!r})
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    return path


def options(data, evaluator):
    annotations = data / 'annotations' / 'person_keypoints_val2017.json'
    return [
        '--cfg-options',
        f'test_dataloader.dataset.data_root={data}/',
        'test_dataloader.dataset.bbox_file=None',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        f'{evaluator}.ann_file={annotations}',
    ]


def new_environment(folder, *install):
    """A fresh environment over this one's packages, with the package installed into it."""
    venv.create(folder, symlinks=True)
    python = folder / 'bin' / 'python'
    base = {key: str(folder) for key in ('base', 'platbase')}
    site = sysconfig.get_path('purelib', vars=base)
    with open(f'{site}/below.pth', 'w') as file:
        # Not the bare path: the .pth file of setuptools must run, for distutils on Python 3.12.
        file.write(f'import site; site.addsitedir({sysconfig.get_path("purelib")!r})\n')
    pip = [sys.executable, '-m', 'pip', '--python', python, 'install', '--quiet', '--no-index']
    flags = ['--no-deps', '--no-build-isolation', '--ignore-installed']
    result = run(*pip, *flags, *install)
    assert result.returncode == 0, result.stderr
    return python


def copy_sources(folder):
    ignore = shutil.ignore_patterns('.*', 'build', 'work_dirs', '*.egg-info', '__pycache__')
    return shutil.copytree(ROOT, folder, ignore=ignore)


@pytest.fixture(params=['wheel', 'editable'])
def installed(request, tmp_path):
    """(python, config): an environment, and a name for the config that works there."""
    source = copy_sources(tmp_path / 'source')
    if request.param == 'wheel':
        python = new_environment(tmp_path / 'venv', source)
        shutil.rmtree(source)
        return python, CONFIG.rpartition('/')[2]
    return new_environment(tmp_path / 'venv', '--editable', source), source / CONFIG


def test_mim_test(installed, data, checkpoint, tmp_path):
    python, config = installed
    arguments = ['test', 'okdhp-mmpose', config, '--checkpoint', checkpoint]
    arguments += options(data, 'test_evaluator.metric')
    result = run(python, '-c', MIM, *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'coco/AP' in result.stdout + result.stderr


def test_mim_search(installed, tmp_path):
    python, _ = installed
    result = run(python, '-c', MIM, 'search', 'okdhp-mmpose', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert CONFIG in result.stdout


def test_mim_test_mmpose_with_the_student(data, checkpoint, tmp_path):
    exported = run(
        sys.executable, 'tools/export_student.py', CONFIG, checkpoint, tmp_path / 'student'
    )
    assert exported.returncode == 0, exported.stderr
    (tmp_path / 'okdhp_mm.py').write_text('raise ImportError("stock mmpose only")')
    arguments = ['test', 'mmpose', 'student/student.py', '--checkpoint', 'student/student.pth']
    arguments += options(data, 'test_evaluator')
    result = run(sys.executable, '-c', MIM, *arguments, cwd=tmp_path, PYTHONPATH=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'coco/AP' in result.stdout + result.stderr
