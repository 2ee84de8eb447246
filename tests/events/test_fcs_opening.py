"""What is opened in place of an FCS file: refused at once, saying what it is; and files that change meanwhile."""

import os
import socket
import stat
import time
from pathlib import Path

import pytest
from builder import build

from nti7flow.errors import FcsError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.fcs.opening import open_regular, read_span


@pytest.mark.parametrize(
    ("raw", "code", "says"),
    [
        (b"", "FCS004", "0 bytes"),
        (b"FCS", "FCS007", "'FCS'"),
        (b"FCS4.0    " + b" " * 200, "FCS007", "'FCS4.0'"),
        (b"FCS3.1    ", "FCS046", "10 bytes"),
        (b"FCS3.1    " + b" " * 200, "FCS011", "bytes 0 to 0"),
        (b"FCS3.1    " + b"      ab" * 6, "FCS010", "TEXT begin"),
        (b"FCS3.1    " + b"%8d%8d" % (58, 99_999_999) + b" " * 32, "FCS046", "58 bytes"),
        (b"FCS3.1    " + b"%8d%8d" % (58, 58) + b" " * 32 + b"/", "FCS011", "bytes 58 to 58"),
        (b"FCS3.1    " + b"%8d%8d" % (58, 62) + b" " * 32 + b"/a/b/", None, "$PAR, $DATATYPE, $BYTEORD"),
        (b"FCS3.1    " + b"%8d%8d" % (90, 70) + b" " * 90, "FCS011", "bytes 90 to 70"),
        (b"\x00" * 300, "FCS006", "\\x00"),
        (b"fcs3.1" + build()[6:], "FCS006", "fcs3.1"),
        (build()[1:], "FCS006", "CS3.1"),
    ],
)
def test_not_an_fcs_file_or_only_its_beginning(refused, raw, code, says):
    assert says in refused(raw, code).found


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"BZh9", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!", "rar"),
        (b"%PDF-1.4", "PDF"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"PAR1", "Parquet"),
        (b"\xd0\xcf\x11\xe0", "Office"),
        (b"<?xml version='1.0'?>", "XML"),
        (b"\xef\xbb\xbf  <Workspace>", "XML"),
        (b"<!DOCTYPE html>", "HTML"),
    ],
)
def test_other_formats_are_named(refused, first, says):
    for raw in (first, first + build()):
        error = refused(raw, "FCS005")
        assert says in error.found
        assert "npack" in error.what_to_do or "xport" in error.what_to_do
        assert error.byte_offset == 0


# --- what is no file ------------------------------------------------------------------------------


def code_of(path) -> str:
    start = time.perf_counter()
    with pytest.raises(FcsError) as caught:
        read_fcs(path)
    assert time.perf_counter() - start < 1
    assert str(caught.value).isprintable()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.code


def test_paths_that_are_no_files(tmp_path):
    assert code_of(tmp_path) == "FCS002"
    assert code_of(tmp_path / "absent.fcs") == "FCS001"
    assert code_of("") == "FCS002"  # the folder we are in
    assert code_of(tmp_path / "a\0b.fcs") == "FCS001"
    assert code_of(tmp_path / ("x" * 5000)) == "FCS003"
    below = tmp_path / "tube.fcs"
    below.write_bytes(build())
    assert code_of(below / "inside.fcs") == "FCS003"
    assert read_fcs(str(below)).n_events == 3


def test_links(tmp_path):
    (tmp_path / "tube.fcs").write_bytes(build())
    (tmp_path / "link.fcs").symlink_to("tube.fcs")
    (tmp_path / "nowhere.fcs").symlink_to("gone.fcs")
    (tmp_path / "round.fcs").symlink_to("round.fcs")
    (tmp_path / "folder.fcs").symlink_to(".")
    assert read_fcs(tmp_path / "link.fcs").n_events == 3
    assert code_of(tmp_path / "nowhere.fcs") == "FCS001"
    assert code_of(tmp_path / "round.fcs") == "FCS003"
    assert code_of(tmp_path / "folder.fcs") == "FCS002"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.fcs")
    assert code_of(tmp_path / "pipe.fcs") == "FCS002"
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.fcs")
        assert code_of(Path("socket.fcs")) == "FCS002"
    for device in (Path("/dev/zero"), Path("/dev/null")):
        if device.exists() and stat.S_ISCHR(device.stat().st_mode):
            assert code_of(device) == "FCS002"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = tmp_path / "tube.fcs"
    path.write_bytes(build())
    path.chmod(0)
    assert code_of(path) == "FCS003"


def test_a_file_that_changes_while_it_is_open(tmp_path):
    """Longer, shorter, or touched: seen when it is closed, or where bytes are missing."""
    path = tmp_path / "tube.fcs"
    for change in (
        lambda: path.write_bytes(build() + b"x"),
        lambda: os.truncate(path, 100),
        lambda: os.utime(path, ns=(1, 1)),
    ):
        path.write_bytes(build())
        with pytest.raises(FcsError) as caught, open_regular(path):
            change()
        assert caught.value.code == "FCS008"
    path.write_bytes(build())
    with pytest.raises(FcsError) as caught, open_regular(path) as (stream, _):
        os.truncate(path, 100)
        read_span(stream, 90, 120, path=str(path))
    assert caught.value.code == "FCS008"
    assert "21 bytes early" in caught.value.found or "20 bytes early" in caught.value.found
    path.write_bytes(build())
    with open_regular(path) as (stream, status):
        assert read_span(stream, 0, 5, path=str(path)) == b"FCS3.1"
        assert status.st_size == len(build())
