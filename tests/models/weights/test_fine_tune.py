"""A new training starts from the checkpoint of another multi-branch model."""

import copy
import logging

import pytest
import torch
from common import head, make_model, okdhp_model, resnet, shake
from mmengine.logging import MMLogger
from runs import runner_of

from okdhp_mm.errors import UserError
from okdhp_mm.models.state_names import student_name
from okdhp_mm.models.weights import fit_checkpoint


def by_owner(state):
    return {owner: value for name, value in state.items() if (owner := student_name(name))}


def fitted(model, state, noise=0.05):
    state = copy.deepcopy(dict(state))
    fit_checkpoint(model, state, noise)
    model.load_state_dict(state, strict=True)
    return model.state_dict()


@pytest.fixture
def messages():
    """Yield the messages that are logged during the test."""
    found = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: found.append(f'{record.levelname}: {record.getMessage()}')
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


@pytest.fixture(scope='module')
def trained():
    return shake(make_model()).state_dict()


def test_an_equal_model_takes_all_as_it_is(trained, messages):
    state = fitted(make_model(), trained)
    assert all(torch.equal(state[name], value) for name, value in trained.items())
    assert not messages


@pytest.mark.parametrize('keypoints', [9, 25])
def test_another_number_of_keypoints_keeps_the_final_layers_as_initialized(
    trained, keypoints, messages
):
    # The codec encodes as many keypoints as there are; the head says how many.
    model = make_model(head=head(8, deconv=None, out_channels=keypoints))
    before = copy.deepcopy(model.state_dict())
    state = fitted(model, trained)
    for name, value in state.items():
        fits = name in trained and trained[name].shape == value.shape
        assert torch.equal(value, (trained if fits else before)[name]), name
    assert not torch.equal(
        trained['backbone.trunk.conv1.weight'], before['backbone.trunk.conv1.weight']
    )
    (message,) = [m for m in messages if 'another multi-branch model' in m]
    assert message.startswith('INFO')
    for m in range(3):
        assert f'head.branches.{m}.final_layer' in message.partition('kept')[2].partition(';')[0]


def test_another_head_keeps_the_backbone(trained, messages):
    layer = dict(conv_out_channels=(4,), conv_kernel_sizes=(3,))
    model = make_model(head=head(8, deconv=None, **layer))
    state = fitted(model, trained)
    backbone = [name for name in trained if name.startswith('backbone.')]
    assert all(torch.equal(state[name], trained[name]) for name in backbone)
    assert 'head.branches.0.conv_layers' in messages[-1]


def test_further_branches_start_as_noisy_copies(trained, messages):
    state, first = by_owner(fitted(make_model(branches=5), trained)), by_owner(trained)
    for (branch, name), value in state.items():
        source = first[branch if branch is None else branch % 3, name]
        if branch is None or branch < 3:
            assert torch.equal(value, source)
        elif value.is_floating_point() and value.dim() > 1:
            change = (value - source).std() / source.std()
            assert 0.02 < change < 0.08, name
    assert 'head.branches.3.final_layer' not in messages[-1].partition('copied')[0]


def test_fewer_branches_leave_the_others_out(trained, messages):
    state = by_owner(fitted(make_model(branches=2), trained))
    first = by_owner(trained)
    assert all(torch.equal(value, first[owner]) for owner, value in state.items())
    assert 'backbone.branches.2.' in messages[-1].partition('not used: ')[2]


@pytest.mark.parametrize('split', ['stage2', 'whole'])
def test_another_split_moves_weights_between_trunk_and_branches(trained, split):
    assert make_model().state_dict().keys() != make_model(split=split).state_dict().keys()
    state, first = by_owner(fitted(make_model(split=split), trained, noise=0)), by_owner(trained)
    for (branch, name), value in state.items():
        owners = [(branch, name), (None, name), (0, name)]
        source = next(first[owner] for owner in owners if owner in first)
        assert torch.equal(value, source)


def test_an_averaged_copy_starts_with_the_fitted_weights(trained):
    model = make_model(branches=2, ema=dict(momentum=0.01))
    state = fitted(model, trained)
    for name, value in state.items():
        if name.startswith('ema.module.'):
            assert torch.equal(value, state[name.removeprefix('ema.module.')])
    assert state['ema.steps'] == 0
    fitted(make_model(branches=4), state)


def test_the_checkpoint_of_another_backbone_is_refused(trained):
    model = make_model('resnet', backbone=resnet(base_channels=24), head=head(192))
    state = {name: value for name, value in trained.items() if 'bn1' not in name}
    with pytest.raises(UserError, match='no weights that fit the backbone'):
        fit_checkpoint(model, state, 0.05)


@pytest.mark.parametrize('ema', [False, True])
def test_a_training_starts_from_it_and_a_resume_and_a_test_refuse(trained, tmp_path, ema):
    file = str(tmp_path / 'trained.pth')
    meta = dict(epoch=1, iter=3, cfg='', dataset_meta={})
    torch.save(dict(meta=meta, state_dict=trained, message_hub=None), file)
    hooks = [dict(type='EMAHook')] if ema else []
    settings = dict(load_from=file, custom_hooks=hooks)

    def runner(name, **changes):
        model = okdhp_model(branches=4)
        return runner_of(tmp_path / f'{name}{ema}', model, **settings | changes)

    training = runner('train', train_cfg=dict(by_epoch=False, max_iters=1))
    training.train()
    assert len(training.model.head.branches) == 4
    with pytest.raises(UserError, match='of another model'):
        runner('resume', resume=True).train()
    testing = runner('test')
    testing.call_hook('before_run')
    with pytest.raises(UserError, match='of another model'):
        testing.load_or_resume()
