"""Pictures that are found and read, whatever the machine."""

import io
import mimetypes

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from okdhp_mm.deploy.inference.images import image_files, is_picture, read_picture, read_pictures
from okdhp_mm.errors import UserError

FORMATS = [
    ('.jpg', 'JPEG'),
    ('.png', 'PNG'),
    ('.tif', 'TIFF'),
    ('.webp', 'WEBP'),
    ('.avif', 'AVIF'),
]


def encoded(kind, orientation):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30, 0] = image[20:, 30:, 2] = 255
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(image).save(buffer, format=kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize('suffix, kind', FORMATS)
def test_exif_is_followed_in_every_format_that_carries_it(tmp_path, suffix, kind):
    if kind == 'AVIF' and not (features.check('avif') and cv2.haveImageWriter('a.avif')):
        pytest.skip('this Pillow or this OpenCV knows no AVIF')
    for orientation in range(1, 9):
        file = tmp_path / f'{orientation}{suffix}'
        file.write_bytes(encoded(kind, orientation))
        found = read_picture(file).image.astype(int)
        expected = np.array(ImageOps.exif_transpose(Image.open(file)).convert('RGB'))[..., ::-1]
        assert found.shape == expected.shape
        assert abs(found - expected).mean() < 5


def test_the_tables_of_the_machine_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(mimetypes, 'guess_type', None)
    for name in ('a.webp', 'b.jp2', 'c.PNG', 'd.txt', 'e.mp4', '.hidden.png'):
        (tmp_path / name).touch()
    assert [file.name for file in image_files(tmp_path)] == ['a.webp', 'b.jp2', 'c.PNG']


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.bmp', '.jp2', '.tif', '.ppm'])
@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.98])
def test_a_cut_file_is_told_from_a_whole_one(tmp_path, suffix, share):
    rng = np.random.default_rng(0)
    content = cv2.imencode(suffix, rng.integers(0, 255, (60, 80, 3), np.uint8))[1].tobytes()
    file = tmp_path / f'a{suffix}'
    file.write_bytes(content)
    assert is_picture(file)
    assert not read_picture(file).cut
    file.write_bytes(content[: int(len(content) * share)])
    try:
        picture = read_picture(file)
    except UserError as error:
        assert 'a' + suffix + ' cannot be read' in str(error)
    else:
        assert picture.cut


@pytest.mark.parametrize('size', [(2, 33000), (33000, 2)])
def test_a_picture_that_opencv_cannot_crop_is_refused(tmp_path, size):
    file = tmp_path / 'a.png'
    cv2.imwrite(str(file), np.zeros(size, np.uint8))
    width, height = size[::-1]
    with pytest.raises(UserError, match=f'is {width} x {height} px; make it smaller'):
        read_picture(file)


def test_nothing_readable_is_refused(tmp_path):
    (tmp_path / 'a.png').touch()
    with pytest.raises(UserError, match=r'None of the 1 pictures can be read, e\.g\. .*a\.png'):
        list(read_pictures([tmp_path / 'a.png']))
