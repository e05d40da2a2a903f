"""Files are complete or as before, whatever happens while they are written."""

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from okdhp_mm.io.atomic import (
    atomic_write,
    atomic_write_folder,
    remove_temporary,
    write_bytes,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.rglob('*'))


def test_a_file_is_written_and_replaced(tmp_path):
    for content in ('old', 'newer ä'):
        write_text(tmp_path / 'a.txt', content)
        assert (tmp_path / 'a.txt').read_text(encoding='utf-8') == content
    assert names(tmp_path) == ['a.txt']


def test_permissions_follow_the_umask(tmp_path):
    write_bytes(tmp_path / 'a', b'')
    (tmp_path / 'b').write_bytes(b'')
    assert (tmp_path / 'a').stat().st_mode == (tmp_path / 'b').stat().st_mode


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, error):
    write_text(tmp_path / 'a.txt', 'old')
    with pytest.raises(error), atomic_write(tmp_path / 'a.txt') as temporary:
        temporary.write_text('half')
        raise error
    assert (tmp_path / 'a.txt').read_text() == 'old'
    assert names(tmp_path) == ['a.txt']


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path):
    write_bytes(tmp_path / 'a', b'old')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            write_bytes(tmp_path / 'a', bytes(10**6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / 'a')
    assert (tmp_path / 'a').read_bytes() == b'old'
    assert names(tmp_path) == ['a']


def test_a_missing_folder_is_named_by_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_bytes(tmp_path / 'no' / 'a', b'')
    assert caught.value.filename == str(tmp_path / 'no' / 'a')


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'file')
    write_text(tmp_path / 'link', 'x')
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'file').read_text() == 'x'


def test_a_device_stays_a_device():
    write_text('/dev/null', 'x')
    assert Path('/dev/null').is_char_device()


def test_files_are_replaced_together(tmp_path):
    for name in ('weights', 'config', 'graph', 'users'):
        write_text(tmp_path / name, 'old')
    with atomic_write_folder(tmp_path, obsolete=['graph', 'missing']) as staging:
        write_text(staging / 'weights', 'new')
        write_text(staging / 'config', 'new')
        (staging / 'sub').mkdir()
        write_text(staging / 'sub' / 'file', 'new')
        assert (tmp_path / 'weights').read_text() == 'old'
    assert names(tmp_path) == ['config', 'file', 'sub', 'users', 'weights']
    assert [(tmp_path / name).read_text() for name in ('weights', 'config')] == ['new', 'new']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_an_error_replaces_none_of_them(tmp_path, error):
    write_text(tmp_path / 'weights', 'old')
    write_text(tmp_path / 'graph', 'old')
    with pytest.raises(error), atomic_write_folder(tmp_path, obsolete=['graph']) as staging:
        write_text(staging / 'weights', 'new')
        raise error
    assert names(tmp_path) == ['graph', 'weights']
    assert (tmp_path / 'weights').read_text() == 'old'


def test_one_that_cannot_be_replaced_keeps_them_all(tmp_path):
    write_text(tmp_path / 'a', 'old')
    (tmp_path / 'b').mkdir()
    with pytest.raises(IsADirectoryError), atomic_write_folder(tmp_path) as staging:
        write_text(staging / 'a', 'new')
        write_text(staging / 'b', 'new')
    assert (tmp_path / 'a').read_text() == 'old'


def test_a_new_folder_exists_only_after_success(tmp_path):
    with pytest.raises(ValueError), atomic_write_folder(tmp_path / 'x' / 'y'):
        raise ValueError
    assert not names(tmp_path)
    with atomic_write_folder(tmp_path / 'x' / 'y') as staging:
        write_text(staging / 'a', '')
    assert names(tmp_path) == ['a', 'x', 'y']


def test_errors_name_the_file_that_was_meant(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write_folder(tmp_path) as staging:
        os.stat(staging / 'a')
    assert caught.value.filename == str(tmp_path / 'a')


def test_what_a_killed_process_left_is_removed(tmp_path):
    process = os.fork()
    if not process:
        with atomic_write(tmp_path / 'a.pth') as path:
            path.write_text('half')
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    (left,) = names(tmp_path)
    remove_temporary(tmp_path, '*.txt')
    assert names(tmp_path) == [left]
    remove_temporary(tmp_path, '*.pth')
    assert not names(tmp_path)
