"""Real training persons, through the config and the runner that a user has."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from scipy.io import loadmat, savemat

from okdhp_mm.io.config import drop_pretrained

CONFIG = Path(__file__).parents[1] / 'configs' / 'okdhp' / 'resnet18_mpii_128x128.py'
PERSONS = 8


@pytest.fixture
def eight_persons(data_root, tmp_path):
    """MPII-format annotations and head boxes of the first persons of the validation set."""
    root = data_root / 'lspet'
    if not root.is_dir():
        pytest.skip(f'Leeds Sports Pose Extended is not at {root}')
    annotations = json.loads((root / 'annotations' / 'mpii_val.json').read_text())[:PERSONS]
    (tmp_path / 'persons.json').write_text(json.dumps(annotations))
    boxes = loadmat(root / 'annotations' / 'mpii_gt_val.mat')['headboxes_src'][..., :PERSONS]
    savemat(tmp_path / 'heads.mat', dict(headboxes_src=boxes))
    return root, tmp_path / 'persons.json', tmp_path / 'heads.mat'


@pytest.mark.slow
def test_eight_persons_are_known_by_heart_but_for_two_joints_at_most(eight_persons, tmp_path):
    root, annotations, heads = eight_persons
    cfg = Config.fromfile(CONFIG)
    drop_pretrained(cfg.model)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=PERSONS)
        loader.dataset.update(data_root=str(root), ann_file=str(annotations))
        if split != 'train':
            loader.dataset.headbox_file = str(heads)
    loader = cfg.train_dataloader
    loader.sampler = dict(type='InfiniteSampler', shuffle=True)
    loader.dataset.pipeline = [s for s in cfg.train_pipeline if not s.type.startswith('Random')]
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=300)
    cfg.optim_wrapper.optimizer.lr = 1e-3
    cfg.param_scheduler = []
    cfg.log_processor.by_epoch = False
    cfg.default_hooks.checkpoint = None
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.val_loop.run()
    for name in ('PCK', 'branch1/PCK', 'branch2/PCK', 'ensemble/PCK'):
        assert metrics[name] > 98, metrics  # of 108 joints
