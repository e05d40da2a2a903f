"""Exports of CVAT ("CVAT for images 1.1") become COCO JSON."""

from html import escape
from itertools import pairwise

import cv2
import numpy as np
import pytest

from okdhp_mm.data.own_dataset import read_own
from okdhp_mm.data.readers import read_cvat
from okdhp_mm.errors import UserError

SVG = """
<line x1="36" y1="9" x2="30" y2="40" stroke="black" data-type="edge" data-node-from="1"
 stroke-width="0.5" data-node-to="3"></line>
<line x1="36" y1="9" x2="60" y2="40" data-type="edge" data-node-from="2" data-node-to="3"></line>
<circle r="1.5" cx="36" cy="9" data-type="element node" data-element-id="1" data-node-id="1"
 data-label-name="nose"></circle>
<circle r="1.5" cx="60" cy="9" data-type="element node" data-element-id="2" data-node-id="2"
 data-label-name="ear"></circle>
<circle r="1.5" cx="60" cy="9" data-type="element node" data-element-id="3" data-node-id="3"
 data-label-name="tail"></circle>
"""
META = f"""<meta><task><id>7</id><name>dogs</name><size>3</size><mode>annotation</mode><labels>
<label><name>dog</name><color>#fa3253</color><type>skeleton</type><attributes></attributes>
<svg>{escape(SVG)}</svg></label>
<label><name>nose</name><type>points</type><attributes></attributes><parent>dog</parent></label>
<label><name>ear</name><type>points</type><attributes></attributes><parent>dog</parent></label>
<label><name>tail</name><type>points</type><attributes></attributes><parent>dog</parent></label>
<label><name>ground</name><type>polygon</type><attributes></attributes></label>
</labels></task><dumped>2024-05-02 11:12:13.141592+00:00</dumped></meta>"""
DOGS = """
<image id="0" name="park/img 1.png" subset="default" task_id="7" width="60" height="50">
  <polygon label="ground" occluded="0" points="0,0;60,0;60,50" z_order="0"></polygon>
  <skeleton label="dog" source="manual" z_order="0" group_id="3">
    <points label="tail" source="manual" outside="0" occluded="0" points="30.50,40.25"></points>
    <points label="nose" source="manual" outside="0" occluded="1" points="1.50,2.00"></points>
    <points label="ear" source="manual" outside="1" occluded="0" points="9.00,9.00">
      <attribute name="seen">no</attribute>
    </points>
  </skeleton>
  <skeleton label="dog" source="manual" z_order="0">
    <points label="nose" source="manual" outside="0" occluded="0" points="50.00,20.00"></points>
    <points label="ear" source="manual" outside="0" occluded="0" points="52.00,22.00"></points>
    <points label="tail" source="manual" outside="0" occluded="0" points="40.00,30.00"></points>
  </skeleton>
  <box label="ground" source="manual" occluded="0" xtl="1.00" ytl="2.00" xbr="41.00" ybr="42.00"
   z_order="0" group_id="3"></box>
</image>
<image id="1" name="park/img 2.png" width="60" height="50"></image>
<image id="2" name="img 3.png" width="60" height="50">
  <skeleton label="dog" source="manual" z_order="0">
    <points label="nose" source="manual" outside="1" occluded="0" points="5.00,5.00"></points>
  </skeleton>
</image>
"""


def document(images=DOGS, meta=META, head=''):
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version>'
        f'{meta}{images}</annotations>'
    )


@pytest.fixture
def export(tmp_path):
    """A writer of exports, with pictures that they name."""
    for name in ('park/img 1.png', 'park/img 2.png', 'img 3.png'):
        file = tmp_path / 'images' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.zeros((50, 60, 3), np.uint8))

    def write(text):
        (tmp_path / 'annotations.xml').write_text(text)
        return tmp_path / 'annotations.xml', tmp_path / 'images'

    return write


def test_skeletons_become_annotations(export):
    content, notes = read_cvat(*export(document()))
    category = dict(id=1, name='dog', keypoints=['nose', 'ear', 'tail'], skeleton=[[1, 3], [2, 3]])
    assert content['categories'] == [category]
    (image,) = content['images']
    assert image == dict(id=1, file_name='park/img 1.png', width=60, height=50)
    first, second = content['annotations']
    assert first['keypoints'] == [1.5, 2, 1, 0, 0, 0, 30.5, 40.25, 2]
    assert first['num_keypoints'] == 2
    assert first['bbox'] == [1, 2, 40, 40]
    assert second['keypoints'] == [50, 20, 2, 52, 22, 2, 40, 30, 2]
    assert 'bbox' not in second
    assert notes == ['CVAT: 2 labeled skeletons in 1 pictures']


def test_an_export_is_a_complete_dataset(export):
    dataset = read_own(*export(document()))
    assert dataset.pictures == ['park/img 1.png']
    assert dataset.skeleton == [('nose', 'tail'), ('ear', 'tail')]
    assert all(entry['area'] > 0 for entry in dataset.persons)
    assert dataset.changed


def test_the_description_of_the_labels_may_be_missing(export):
    content, _ = read_cvat(*export(document(meta='')))
    assert content['categories'][0]['keypoints'] == ['tail', 'nose', 'ear']
    assert content['annotations'][0]['keypoints'] == [30.5, 40.25, 2, 1.5, 2, 1, 0, 0, 0]


def test_a_rotated_box_is_enclosed(export):
    turned = DOGS.replace('<box', '<box rotation="90.0"').replace('ybr="42.00"', 'ybr="22.00"')
    content, _ = read_cvat(*export(document(turned)))
    assert content['annotations'][0]['bbox'] == pytest.approx([11, -8, 20, 40])


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + ''.join(
    f'<!ENTITY {name} "{10 * f"&{before};"}">' for before, name in pairwise('abcdefgh')
)
FETCH = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">'


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        (document(head=f'{BOMB}]>', images='&h;'), 'is refused: it has a DOCTYPE'),
        (document(head=f'{FETCH}]>', images='&a;'), 'is refused: it has a DOCTYPE'),
        (document()[:-20], 'is not complete XML'),
        ('{}', 'is not complete XML'),
        ('<svg></svg>', "holds <svg>. Export from CVAT as 'CVAT for images 1.1'"),
        (document('<track id="0" label="dog"></track>'), 'holds tracks of a video'),
        (document(''), r'skeletons of 0 labels \(none\)'),
        (document(DOGS.replace('skeleton label="dog"', 'skeleton label="cat"', 1)), 'cat, dog'),
        (document(DOGS.replace('1.50,2.00', '1.50')), "'nose' is at '1.50', which is not one x,y"),
        (document(DOGS.replace('1.50,2.00', '1,2;3,4')), 'which is not one x,y'),
        (document(DOGS.replace('img 1', 'img 9')), 'img 9.png, which does not exist'),
        (document(DOGS.replace('width="60"', 'width="wide"')), "`width` of <image> is 'wide'"),
        (document(DOGS.replace('xtl="1.00" ', '')), '`xtl` of <box> is None'),
    ],
)
def test_a_wrong_export_is_told(export, text, reason):
    with pytest.raises(UserError, match=reason):
        read_cvat(*export(text))


@pytest.mark.parametrize('value', ['nan', 'inf', '1e300'])
def test_impossible_coordinates_are_told(export, value):
    with pytest.raises(UserError, match='not a list of finite numbers'):
        read_own(*export(document(DOGS.replace('1.50,2.00', f'{value},2'))))
