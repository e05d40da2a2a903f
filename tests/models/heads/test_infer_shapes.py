"""Sizes of the network are checked when the model is built."""

import pytest
from common import CODEC, NUM_KEYPOINTS, make_model

from okdhp_mm.errors import UserError


def codec_of(width, height):
    return CODEC | dict(input_size=(width, height), heatmap_size=(width // 4, height // 4))


def simcc(head=(64, 96), codec=(64, 96), features=(2, 3), split=2.0):
    return dict(
        type='SimCCHead',
        in_channels=64,
        out_channels=NUM_KEYPOINTS,
        input_size=head,
        in_featuremap_size=features,
        simcc_split_ratio=2.0,
        deconv_out_channels=None,
        loss=dict(type='KLDiscretLoss'),
        decoder=dict(type='SimCCLabel', input_size=codec, simcc_split_ratio=split),
    )


@pytest.mark.parametrize('name', ['hrnet', 'resnet'])
def test_multiples_of_the_stride_are_built(name):
    make_model(name, codec=codec_of(64, 96))


def test_simcc_is_built():
    make_model('resnet', head=simcc())


@pytest.mark.parametrize(
    ('changes', 'size', 'reason'),
    [
        (dict(name='hrnet', codec=codec_of(72, 64)), '72x64', 'size of tensor'),
        (dict(name='resnet', head=simcc(features=(3, 3))), '64x96', 'shapes cannot be multiplied'),
    ],
    ids=['sums', 'layers'],
)
def test_a_size_that_breaks_the_network_is_told(changes, size, reason):
    sentence = f'cannot take images of {size}, the input_size of its codec .*{reason}'
    with pytest.raises(UserError, match=sentence):
        make_model(**changes)


@pytest.mark.parametrize(
    ('codec', 'sizes'),
    [
        (codec_of(72, 64), r'\(16, 24\).* of 72x64, .* \(16, 18\)'),
        (codec_of(64, 96) | dict(heatmap_size=(24, 16)), r'\(24, 16\).* of 64x96, .* \(16, 24\)'),
    ],
    ids=['between strides', 'height before width'],
)
def test_maps_of_another_size_than_the_codecs_are_told(codec, sizes):
    with pytest.raises(UserError, match=f'makes maps of {sizes}'):
        make_model('resnet', codec=codec)


def test_simcc_of_other_bins_than_the_codecs_is_told():
    with pytest.raises(UserError, match=r'maps of \(1, 320\).* of 64x96, .* encodes \(1, 480\)'):
        make_model('resnet', head=simcc(split=3.0))
