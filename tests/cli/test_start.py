"""Initial weights of a training, and checkpoints of an earlier one."""

from pathlib import Path

import pytest
import torch
import torchvision
from mmpose.registry import MODELS

from okdhp_mm.commands import train
from okdhp_mm.errors import UserError

MPII = str(Path(__file__).parents[2] / 'configs' / 'okdhp' / 'resnet18_mpii.py')


@pytest.mark.parametrize(
    ('arguments', 'load_from'),
    [
        ([], 'student.pth'),
        (['--from-scratch'], None),
        (['--from-scratch', '--resume'], None),
        (['--from-scratch', '--resume', 'epoch_3.pth'], 'epoch_3.pth'),
        (['--from-scratch', '--cfg-options', 'load_from=a.pth'], 'a.pth'),
    ],
)
def test_from_scratch_loads_nothing_but_what_it_goes_on_from(
    config_of, tmp_path, arguments, load_from
):
    second = tmp_path / 'second.py'
    second.write_text(f"_base_ = {MPII!r}\nload_from = 'student.pth'\n")
    assert config_of('train', str(second), *arguments).load_from == load_from


def test_a_training_can_start_from_weights_of_another_library(config_of, tmp_path, capsys):
    torch.save(torchvision.models.mobilenet_v2().state_dict(), tmp_path / 'theirs.pth')
    given = ('--work-dir', str(tmp_path / 'out'), '--pretrained', str(tmp_path / 'theirs.pth'))
    cfg = config_of('train', 'okdhp/mobilenetv2_mpii.py', *given)
    assert '260 of 260 tensors found by order and shape' in capsys.readouterr().out
    model = MODELS.build(cfg.model)
    model.init_weights()
    expected = torch.load(tmp_path / 'theirs.pth', weights_only=True)['features.0.0.weight']
    assert torch.equal(model.backbone.trunk.conv1.conv.weight, expected)
    with pytest.raises(UserError, match='do not fit ResNet'):
        config_of('train', 'okdhp/resnet18_mpii.py', *given)
    with pytest.raises(SystemExit):
        config_of('train', MPII, '--from-scratch', *given)
    (tmp_path / 'theirs.pth').unlink()
    resumed = config_of('train', 'okdhp/mobilenetv2_mpii.py', *given, '--resume')
    assert resumed.model.backbone.init_cfg == cfg.model.backbone.init_cfg


def test_checkpoints_of_an_earlier_training_are_kept(tmp_path):
    (tmp_path / 'epoch_3.pth').write_bytes(b'mine')
    with pytest.raises(SystemExit, match=r'has checkpoints .* such as epoch_3\.pth\. .*--force'):
        train.main([MPII, '--work-dir', str(tmp_path)])
    # The next reason to stop is reached: the data are missing.
    for option in ('--force', '--resume'):
        with pytest.raises(SystemExit, match='mpii'):
            train.main([MPII, '--work-dir', str(tmp_path), option])
    assert (tmp_path / 'epoch_3.pth').read_bytes() == b'mine'
