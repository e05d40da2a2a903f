"""Difference of the losses on persons that a network was trained on and on others."""

from pathlib import Path

import pytest
import torch
from common import shake
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, MODELS

from okdhp_mm.data.pseudo_labels.added_persons import ADDED, with_persons
from okdhp_mm.datasets.synthetic import write_coco
from okdhp_mm.errors import UserError
from okdhp_mm.recipes.methods import apply_method
from okdhp_mm.student.config import student_config
from okdhp_mm.student.generalization_gap import generalization_gap, unwrapped
from okdhp_mm.student.state import student_state

ROOT = Path(__file__).parents[2]
PERSONS = 8


@pytest.fixture(scope='module')
def cfg(tmp_path_factory):
    """The demo's training config, on a few drawn figures."""
    root = tmp_path_factory.mktemp('figures')
    for split in ('train', 'val'):
        write_coco(root, split, PERSONS, seed=int(split == 'val'))
    cfg = Config.fromfile(ROOT / 'configs' / 'okdhp' / 'demo.py')
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.data_root = f'{root}/'
    return cfg


def save(model, file):
    torch.save(dict(state_dict=model.state_dict(), meta={}), file)
    return str(file)


@pytest.mark.slow
def test_learning_by_heart_opens_the_gap(cfg, tmp_path):
    stock = student_config(cfg, 0)
    torch.manual_seed(0)
    model = MODELS.build(stock.model).train()
    fresh = generalization_gap(stock, save(model, tmp_path / 'fresh.pth'))
    assert fresh.ratio == pytest.approx(1, abs=0.1)
    data = DATASETS.build(stock.train_dataloader.dataset)
    batch = pseudo_collate([data[index] for index in range(PERSONS)])
    batch = model.data_preprocessor(batch, training=True)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        loss, _ = model.parse_losses(model.loss(batch['inputs'], batch['data_samples']))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trained = generalization_gap(stock, save(model, tmp_path / 'trained.pth'))
    assert trained.train < fresh.train
    assert trained.ratio > 1.2


def test_as_many_persons_as_there_are_weigh_alike_in_a_loss_that_is_a_sum(cfg, tmp_path):
    """SimCC's, by a student that knows nothing, of some persons and of a few of them."""
    cfg = student_config(cfg, 0)
    size = cfg.codec.input_size
    codec = dict(type='SimCCLabel', input_size=size, sigma=4.0, simcc_split_ratio=2.0)
    cfg.model.head = dict(
        type='SimCCHead',
        in_channels=16,
        out_channels=17,
        input_size=size,
        in_featuremap_size=(16, 24),
        simcc_split_ratio=2.0,
        deconv_out_channels=None,
        loss=dict(type='KLDiscretLoss', use_target_weight=True),
        decoder=codec,
    )
    pipeline = cfg.train_dataloader.dataset.pipeline
    next(step for step in pipeline if step.type == 'GenerateTarget').encoder = codec
    cfg.val_dataloader.dataset = cfg.train_dataloader.dataset | dict(indices=3)
    torch.manual_seed(0)
    gap = generalization_gap(cfg, save(MODELS.build(cfg.model), tmp_path / 'fresh.pth'))
    assert gap.ratio == pytest.approx(1, abs=0.15)


def test_a_branch_is_measured_as_the_student_that_it_becomes(cfg, tmp_path):
    model = MODELS.build(cfg.model)
    model.init_weights()
    branches = save(model, tmp_path / 'branches.pth')
    stock = student_config(cfg, 0)
    student = MODELS.build(stock.model)
    student.load_state_dict(student_state(model.state_dict(), 0))
    found = generalization_gap(cfg, branches, persons=5)
    assert found == generalization_gap(stock, save(student, tmp_path / 'student.pth'), persons=5)
    with pytest.raises(UserError, match=r'student\.pth is not of the network .* e\.g\. backbone'):
        torch.save(dict(state_dict={'head.x': torch.zeros(1)}, meta={}), tmp_path / 'student.pth')
        generalization_gap(stock, str(tmp_path / 'student.pth'))
    with pytest.raises(UserError, match=r'other\.pth is not of the network of the config'):
        wider = {name: torch.zeros(1, 2, 3) for name in student.state_dict()}
        torch.save(dict(state_dict=wider, meta={}), tmp_path / 'other.pth')
        generalization_gap(stock, str(tmp_path / 'other.pth'))
    with pytest.raises(UserError, match='student.pth is not a checkpoint of an OKDHP training'):
        generalization_gap(cfg, str(tmp_path / 'student.pth'))
    combined = cfg.copy()
    combined.train_dataloader = dict(dataset=dict(type='CombinedDataset', datasets=[]))
    with pytest.raises(UserError, match=r'train_dataloader\.dataset requires pipeline, '):
        generalization_gap(combined, branches)


def repeated(data):
    return dict(type='RepeatDataset', times=2, dataset=data)


def concatenated(data):
    return dict(type='ConcatDataset', datasets=[repeated(data), data])


def combined(data):
    inner = dict(data, pipeline=[])
    metainfo = dict(from_file='configs/_base_/datasets/coco.py')
    return dict(type='CombinedDataset', metainfo=metainfo, datasets=[inner], pipeline=data.pipeline)


def taught(data):
    return with_persons(data, Path('teacher', ADDED), 0.5)


def test_persons_with_pseudo_labels_are_not_measured(cfg):
    data = cfg.train_dataloader.dataset
    assert unwrapped(taught(data)) == data
    both = ConfigDict(combined(data))
    both.datasets *= 2
    assert unwrapped(taught(both)) == both


@pytest.mark.slow
@pytest.mark.parametrize('wrap', [repeated, concatenated, combined])
def test_data_in_a_wrapper_are_measured_as_without_it(cfg, tmp_path, capsys, wrap):
    stock = student_config(cfg, 0)
    file = save(MODELS.build(stock.model), tmp_path / 'fresh.pth')
    expected = generalization_gap(stock, file, persons=5)
    for split in ('train', 'val'):
        loader = stock[f'{split}_dataloader']
        loader.dataset = wrap(loader.dataset)
    assert generalization_gap(stock, file, persons=5) == expected
    chosen = 'annotations/person_keypoints_train2017.json is measured, the first of 2 data sets.'
    assert (chosen in capsys.readouterr().out) == (wrap is concatenated)


@pytest.mark.slow
def test_the_averaged_copy_is_measured_where_it_is_what_is_deployed(cfg, tmp_path):
    cfg = Config(cfg.to_dict())
    apply_method(cfg.model, 'pcl')
    model = MODELS.build(cfg.model)
    model.init_weights()
    shake(model.ema.module)
    file = save(model, tmp_path / 'pcl.pth')
    measured = []
    for deployed, source in ((True, model.ema.module), (False, model)):
        cfg.model.test_cfg.ema = deployed
        stock = student_config(cfg, 0)
        student = MODELS.build(stock.model)
        student.load_state_dict(student_state(source.state_dict(), 0))
        measured.append(generalization_gap(cfg, file, persons=5))
        assert measured[-1] == generalization_gap(
            stock, save(student, tmp_path / 'own.pth'), persons=5
        )
    assert measured[0] != measured[1]


@pytest.mark.parametrize('persons', [0, -3])
def test_nobody_has_no_loss(cfg, persons):
    with pytest.raises(UserError, match=f'--persons {persons} .* must be at least 1'):
        generalization_gap(cfg, 'a.pth', persons)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_a_config_without_persons_is_told(cfg, split):
    cfg = Config({key: value for key, value in cfg.items() if key != f'{split}_dataloader'})
    with pytest.raises(UserError, match=f'requires {split}_dataloader.dataset, which is missing'):
        generalization_gap(cfg, 'a.pth')


def test_weights_of_a_diverged_training_are_told(cfg, tmp_path):
    stock = student_config(cfg, 0)
    model = MODELS.build(stock.model)
    model.head.final_layer.bias.data[0] = torch.nan
    with pytest.raises(UserError, match='NaN or infinity in 1 tensors .*final_layer.bias'):
        generalization_gap(stock, save(model, tmp_path / 'diverged.pth'))
