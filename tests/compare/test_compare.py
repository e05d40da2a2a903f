"""Methods are compared in pairs of one seed; finished runs are not repeated."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from common import paired_metainfo, python
from mmengine.config import Config, ConfigDict

from okdhp_mm.compare import check_comparable, plan, read_runs, train_all, write_comparison
from okdhp_mm.compare.report import latex
from okdhp_mm.data.pseudo_labels.added_persons import ADDED, with_persons
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.io.config import read_config

ROOT = Path(__file__).parents[2]
DEMO = ROOT / 'configs' / 'okdhp' / 'demo.py'
BRANCHED = dict(type='OKDHPTopdownPoseEstimator', test_cfg=dict(branch=0))
STOCK = dict(type='TopdownPoseEstimator')


def finished(folder, figures, model=BRANCHED, seed=0, epochs=2, at=None, **settings):
    """A work directory as a training leaves it."""
    logs = folder / '20260101_000000' / 'vis_data'
    logs.mkdir(parents=True)
    cfg = dict(
        model=model, train_cfg=dict(max_epochs=epochs), randomness=dict(seed=seed), **settings
    )
    Config(cfg, format_python_code=False).dump(logs / 'config.py')
    lines = [dict(loss=1.0, iter=1, step=1), figures | dict(step=epochs if at is None else at)]
    (logs / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    return folder


def outputs(deployed, other, ensemble):
    return {'PCK': deployed, 'branch1/PCK': other, 'ensemble/PCK': ensemble}


@pytest.fixture
def runs(tmp_path):
    folders = [
        finished(tmp_path / 'a0', {'PCK': 0.5}, STOCK, 0),
        finished(tmp_path / 'a1', {'PCK': 0.6}, STOCK, 1),
        finished(tmp_path / 'o0', outputs(0.6, 0.4, 0.7), seed=0),
        finished(tmp_path / 'o1', outputs(0.64, 0.5, 0.7), seed=1),
        finished(tmp_path / 'o2', outputs(0.9, 0.9, 0.9), seed=2),
    ]
    return read_runs(folders)


def test_runs_of_one_model_are_one_method(runs):
    assert [(run.method, run.seed) for run in runs] == [
        *(('alone', 0), ('alone', 1), ('o0', 0), ('o0', 1), ('o0', 2))
    ]
    assert [run.deployed for run in runs] == [0.5, 0.6, 0.6, 0.64, 0.9]
    assert runs[2].branches == pytest.approx(0.5)
    assert runs[2].ensemble == 0.7 and runs[0].ensemble is None


def test_gains_are_of_pairs_with_their_standard_error(runs, tmp_path):
    text = write_comparison(runs, tmp_path / 'out')
    # 0.1 and 0.04: mean 0.07, standard deviation 0.0424, over the root of 2.
    assert '| o0 | 0 1 2 | 0.7133 ± 0.1629 | +0.0700 ± 0.0300 |' in text
    assert '| alone | 0 1 | 0.5500 ± 0.0707 | - | 0.5500 ± 0.0707 | - |' in text
    with open(tmp_path / 'out' / 'compare.csv') as file:
        lines = list(csv.DictReader(file))
    assert [line['gain'][:4] for line in lines] == ['', '', '0.09', '0.04', '']
    assert (tmp_path / 'out' / 'compare.png').read_bytes()[:4] == b'\x89PNG'
    assert r'\begin{tabular}' in (tmp_path / 'out' / 'compare.tex').read_text()
    assert r'0.0700 $\pm$ 0.0300' in (tmp_path / 'out' / 'compare.tex').read_text()


def test_the_order_of_the_runs_does_not_matter_and_any_name_can_be_drawn(tmp_path):
    odd = tmp_path / 'a|b_$x$&'
    folders = [
        finished(odd, outputs(50.0, 40.0, 60.0), seed=3),
        finished(tmp_path / 'alone', {'PCK': 40.0}, STOCK, 3),
    ]
    text = write_comparison(read_runs(folders), tmp_path / 'out')
    assert text.index('| alone |') < text.index('| a\\|b_$x$& |')
    assert '+10.00 |' in text, 'one pair has no error'
    assert latex('a_$x$&{\\}~^') == (
        r'a\_\$x\$\&\{\textbackslash{}\}\textasciitilde{}\textasciicircum{}'
    )


def test_two_models_of_one_name_stay_apart(tmp_path):
    other = STOCK | dict(neck='x')
    folders = [
        finished(tmp_path / 'a', {'PCK': 0.5}, STOCK),
        finished(tmp_path / 'b', {'PCK': 0.5}, other),
    ]
    assert [run.method for run in read_runs(folders)] == ['alone', 'alone (b)']


def taught(folder, seed, labels, share=0.5):
    """A run of the student alone with pseudo-labels, and with pictures in its work directory."""
    data = ConfigDict(type='CocoDataset', data_root='data', ann_file='a.json', metainfo={})
    file = folder.resolve() / 'teacher' / ADDED
    loader = dict(dataset=with_persons(data, file, share).to_dict())
    finished(folder, {'PCK': 0.5}, STOCK, seed, work_dir='work_dirs/x', train_dataloader=loader)
    file.parent.mkdir()
    file.write_text(json.dumps([labels, str(folder.resolve() / 'unlabeled' / '0.jpg')]))
    return folder


def test_a_student_that_learned_from_pseudo_labels_is_not_the_student_alone(tmp_path):
    data = dict(type='CocoDataset', data_root='data', ann_file='a.json')
    plain = [
        finished(
            tmp_path / f'plain{seed}', {'PCK': 0.5}, STOCK, seed,
            train_dataloader=dict(dataset=data),
        )
        for seed in (0, 1)
    ]  # fmt: skip
    folders = [
        *(taught(tmp_path / 'blaze' / f'seed{seed}', seed, 'blaze') for seed in (0, 1)),
        taught(tmp_path / 'other' / 'seed1', 1, 'other'),
        taught(tmp_path / 'ratio' / 'seed0', 0, 'blaze', 0.25),
        *plain,
    ]
    names = ['blaze', 'blaze', 'other', 'ratio', 'alone', 'alone']
    assert [run.method for run in read_runs(folders)] == names
    assert [run.method for run in read_runs(folders[::-1])] == names[::-1]
    moved = (tmp_path / 'blaze').rename(tmp_path / 'moved')
    folders[:2] = moved / 'seed0', moved / 'seed1'
    names[:2] = 'moved', 'moved'
    assert [run.method for run in read_runs(folders)] == names


def test_other_training_data_are_another_method(tmp_path):
    folders = []
    for seed, (name, few) in enumerate({'many': [0, 1, 2], 'few': [0]}.items()):
        dataset = dict(type='CocoDataset', ann_file='a.json', indices=few)
        loader = dict(dataset=dataset)
        folders.append(
            finished(tmp_path / name, {'PCK': 0.5}, STOCK, seed, train_dataloader=loader)
        )
    assert [run.method for run in read_runs(folders)] == ['alone', 'alone (few)']


def test_a_folder_of_a_seed_is_named_after_the_one_above(tmp_path):
    """Lay runs out like `compare CONFIG`; models of one name stay apart."""
    folders = [
        finished(tmp_path / place / f'seed{seed}', outputs(0.5, 0.5, 0.5), model, seed=seed)
        for place, model in (
            ('a/dml', BRANCHED),
            ('a/pcl', BRANCHED | dict(neck='x')),
            ('b/dml', BRANCHED | dict(neck='y')),
        )
        for seed in (0, 1)
    ]
    names = [(run.method, run.seed) for run in read_runs(folders)]
    other = f'dml ({folders[4]})'
    assert names == [(name, seed) for name in ('dml', 'pcl', other) for seed in (0, 1)]


@pytest.mark.parametrize('changed', [dict(ann_file='b.json'), dict(indices=10)])
def test_runs_with_other_validation_data_are_not_compared(tmp_path, changed):
    data = dict(type='CocoDataset', data_root='data', ann_file='a.json')
    folders = [
        finished(tmp_path / name, {'PCK': 0.1}, seed=seed, val_dataloader=dict(dataset=dataset))
        for seed, (name, dataset) in enumerate(dict(one=data, other=data | changed).items())
    ]
    with pytest.raises(UserError, match='Only runs with the same validation data'):
        check_comparable(read_runs(folders))
    check_comparable(read_runs(folders[:1]))


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (dict(at=1), 'not a finished training: its last validation is at 1 of 2'),
        (dict(seed=None), 'random seed'),
    ],
)
def test_a_run_that_cannot_be_compared_is_named(tmp_path, changes, sentence):
    folder = finished(tmp_path / 'run', outputs(0.1, 0.1, 0.1), **changes)
    with pytest.raises(UserError, match=f'{folder}.*{sentence}'):
        read_runs([folder])


def test_a_training_that_stopped_early_is_finished(tmp_path):
    hooks = [dict(type='EarlyStoppingHook')]
    (run,) = read_runs([finished(tmp_path / 'run', {'PCK': 0.1}, at=1, custom_hooks=hooks)])
    assert run.deployed == 0.1


def test_wrong_sets_of_runs_are_refused(tmp_path):
    with pytest.raises(UserError, match='has no training'):
        read_runs([tmp_path])
    one = finished(tmp_path / 'one', {'PCK': 0.1})
    with pytest.raises(UserError, match='Name only one'):
        read_runs([one, finished(tmp_path / 'again', {'PCK': 0.1})])
    other = finished(tmp_path / 'other', {'coco/AP': 0.1}, seed=1)
    with pytest.raises(UserError, match='validated with PCK, .* with coco/AP'):
        check_comparable(read_runs([one, other]))


# ------------------------------------------------------------------------------- trainings


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('compared')
    write_coco(folder / 'data', 'train', 4, seed=0)
    write_coco(folder / 'data', 'val', 2, seed=0)
    data = f'{folder / "data"}/'
    loader = 'dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(data_root='
    (folder / 'mine.py').write_text(
        f'_base_ = {str(DEMO)!r}\n'
        f'train_dataloader = {loader}{data!r}))\n'
        f'val_dataloader = {loader}{data!r}))\n'
        f'val_evaluator = dict(metric=dict(ann_file={data!r}'
        " + 'annotations/person_keypoints_val2017.json'))\n"
        'train_cfg = dict(max_epochs=1, val_interval=1)\n'
        "init_cfg = dict(_delete_=True, type='Pretrained', checkpoint='mine.pth')\n"
        'model = dict(backbone=dict(init_cfg=init_cfg))\n'
    )
    return folder / 'mine.py'


TRAIN = """
import json, sys
from pathlib import Path
config, folder = Path(sys.argv[1]), Path(sys.argv[3])
with open(folder.parents[1] / 'calls', 'a') as calls:
    calls.write(f'{config.parent.name} {config.stem} {sys.argv[4:]}\\n')
if (folder.parents[1] / 'fail').exists() and config.stem == 'seed1':
    sys.exit(3)
logs = folder / '2' / 'vis_data'
logs.mkdir(parents=True)
(logs / 'config.py').write_text(config.read_text())
(logs / 'scalars.json').write_text(json.dumps({'coco/AP': 0.5, 'step': 1}))
"""


def test_runs_are_planned_seed_by_seed_with_the_student_alone(config, tmp_path):
    planned = plan(str(config), ['okdhp', 'dml'], [3, 1], tmp_path)
    assert [(run.method, run.seed) for run in planned] == [
        *(('alone', 3), ('okdhp', 3), ('dml', 3)),
        *(('alone', 1), ('okdhp', 1), ('dml', 1)),
    ]
    assert [run.config.randomness.seed for run in planned] == [3, 3, 3, 1, 1, 1]
    alone, okdhp, dml = (run.config.model for run in planned[:3])
    assert alone.type == 'TopdownPoseEstimator'
    assert alone.backbone.init_cfg == okdhp.backbone.init_cfg, 'the same pretrained weights'
    assert okdhp.get('distiller') != dml.distiller


def test_finished_runs_are_not_repeated_and_a_failed_one_is(config, tmp_path):
    (tmp_path / 'train.py').write_text(TRAIN)
    out, command = tmp_path / 'out', python(tmp_path / 'train.py')
    out.mkdir()
    planned = plan(str(config), ['dml'], [0, 1], out)
    for run in planned:
        run.config.train_dataloader.dataset.metainfo = paired_metainfo(12)
    (out / 'fail').touch()
    with pytest.raises(UserError, match='exit code 3.* same command goes on'):
        train_all(planned, command)
    (out / 'fail').unlink()
    runs = train_all(planned, command)
    assert [(run.method, run.seed) for run in runs] == [
        *(('alone', 0), ('dml', 0), ('alone', 1), ('dml', 1))
    ]
    calls = (out / 'calls').read_text().splitlines()
    assert calls == [
        *('alone seed0 []', 'dml seed0 []', 'alone seed1 []', 'alone seed1 []', 'dml seed1 []')
    ]
    train_all(planned, command)
    assert (out / 'calls').read_text().splitlines() == calls
    written = Config.fromfile(planned[1].file).train_dataloader.dataset.metainfo.keypoint_info
    assert list(written) == list(range(12)), 'mmpose takes their order for their numbers'
    planned[1].config.train_cfg.max_epochs = 7
    with pytest.raises(UserError, match='dml/seed0.py holds other settings'):
        train_all(planned, command)


@pytest.mark.parametrize(
    ('methods', 'seeds', 'sentence'),
    [
        (['okdph'], [0], "'okdph' does not exist"),
        (['fpd'], [0], 'fpd needs a trained teacher'),
        (['dml', 'dml'], [0], 'names one twice'),
        (['dml'], [1, 1], 'names one twice'),
    ],
)
def test_wrong_methods_and_seeds_are_refused_before_the_first_training(
    config, tmp_path, methods, seeds, sentence
):
    with pytest.raises(UserError, match=sentence):
        plan(str(config), methods, seeds, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_configs_are_refused(config, tmp_path):
    cfg = read_config(config)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.dump(tmp_path / 'unvalidated.py')
    with pytest.raises(UserError, match='no val_dataloader'):
        plan(str(tmp_path / 'unvalidated.py'), ['dml'], [0], tmp_path)
    stock = read_config(config)
    stock.model.type = 'TopdownPoseEstimator'
    stock.dump(tmp_path / 'stock.py')
    with pytest.raises(UserError, match='has no branches'):
        plan(str(tmp_path / 'stock.py'), ['dml'], [0], tmp_path)


@pytest.mark.slow
def test_the_tool_trains_and_compares(config, tmp_path):
    (tmp_path / 'mine.py').write_text(
        f'_base_ = {str(config)!r}\nmodel = dict(backbone=dict(init_cfg=None))\n'
    )
    command = python(ROOT / 'tools' / 'compare.py')
    own = [tmp_path / 'mine.py', '--methods', 'dml', '--seeds', '0', '--out', tmp_path / 'out']
    subprocess.run([*command, *map(str, own)], check=True, cwd=tmp_path)
    text = (tmp_path / 'out' / 'compare.md').read_text()
    assert '| alone | 0 |' in text and '| dml | 0 |' in text
    folders = [str(tmp_path / 'out' / name / 'seed0') for name in ('dml', 'alone')]
    read = subprocess.run(
        [*command, *folders, '--out', 'read'], cwd=tmp_path, capture_output=True, text=True
    )
    assert read.returncode == 0, read.stderr[-1500:]
    assert '| alone | 0 |' in read.stdout
    refused = subprocess.run(
        [sys.executable, *command[1:], folders[0], '--seeds', '1'], capture_output=True, text=True
    )
    assert refused.returncode == 1 and 'need a config' in refused.stderr
