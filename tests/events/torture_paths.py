"""What is given where a file is wanted: folders, pipes, devices, other formats, paths not to be printed as they are."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import socket
import zipfile
from pathlib import Path

from torture_builder import Tube
from torture_truth import Book, Unavailable

book = Book("not a file")
GOOD = Tube().build()
ROWS, NAMES = Tube().rows, Tube().names


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("tube.fcs"), GOOD)
    return out.getvalue()


PACKED = (("compress", "gzip", "zip", "archive", "xz"),)
book.refused("gzip", lambda: gzip.compress(GOOD, mtime=0), says=(("gzip", "compress"),))
book.refused(
    "gzip_named_so", lambda: gzip.compress(GOOD, mtime=0), file_name="tube.fcs.gz", says=(("gzip", "compress"),)
)
book.refused("gzip_cut", lambda: gzip.compress(GOOD, mtime=0)[:5], says=(("gzip", "compress"),))
book.refused("bzip2", lambda: bz2.compress(GOOD), says=PACKED)
book.refused("xz", lambda: lzma.compress(GOOD), says=PACKED)
book.refused("zip", zipped, says=PACKED)
book.loads("named_gz_but_plain", GOOD, file_name="tube.fcs.gz", rows=ROWS, names=NAMES)
book.loads("named_without_ending", GOOD, file_name="tube", rows=ROWS, names=NAMES)
book.loads("named_by_number", GOOD, file_name="060909.001", rows=ROWS, names=NAMES)
for name, content in (
    ("empty", b""),
    ("one_byte", b"F"),
    ("three_bytes", b"FCS"),
    ("pdf", b"%PDF-1.7\n" + bytes(300)),
    ("html", b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 9),
    ("xml", b'<?xml version="1.0"?><Workspace/>' * 9),
    ("csv", b"FSC-A,SSC-A\n1,2\n3,4\n" * 20),
    ("excel", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
    ("blanks", b" " * 300),
    ("zeros", bytes(1000)),
    ("lower_case", b"fcs is the name of a format, and this is a text" * 5),
    ("text_that_begins_with_fcs", b"FCS is the name of a format, and this is a text about it." * 5),
    ("text_that_begins_with_a_version", b"FCS3.1 is the newest version but one, says this text about FCS." * 5),
    ("git_lfs_pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456\n"),
    ("utf16", "FCS3.1    ".encode("utf-16") + bytes(200)),
    ("header_of_zeros", b"FCS3.1" + bytes(400)),
    ("mac_resource", b"\x00\x05\x16\x07" + bytes(400)),
    ("elf", b"\x7fELF" + bytes(400)),
    ("tar", b"tube.fcs".ljust(257, b"\0") + b"ustar\x0000" + bytes(240) + GOOD),
    ("compress", b"\x1f\x9d\x90" + bytes(400)),
    ("zstd", b"\x28\xb5\x2f\xfd" + bytes(400)),
    ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(400)),
    ("parquet", b"PAR1" + bytes(400)),
):
    book.refused(f"file_{name}", content)
book.either("byte_order_mark_in_front", b"\xef\xbb\xbf" + GOOD, rows=None)
book.refused("newline_in_front", b"\n" + GOOD)


def folder_itself(folder: Path) -> Path:
    return folder


def folder_named_fcs(folder: Path) -> Path:
    (folder / "tube.fcs").mkdir()
    return folder / "tube.fcs"


def fifo(folder: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        raise Unavailable("no named pipes here")
    os.mkfifo(folder / "pipe.fcs")
    return folder / "pipe.fcs"


def bound_socket(folder: Path) -> Path:
    """A socket left in the file system; bound by a relative name, because its path may only be short."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.fcs")
    except OSError as error:
        raise Unavailable(f"no sockets here: {error}") from None
    finally:
        os.chdir(before)
    return folder / "socket.fcs"


def link_to(target: str, name: str = "link.fcs"):
    def put(folder: Path) -> Path:
        (folder / name).symlink_to(target)
        return folder / name

    return put


def there(path: str):
    def put(folder: Path) -> Path:
        if not Path(path).exists():
            raise Unavailable(f"no {path} here")
        return Path(path)

    return put


def unreadable(folder: Path) -> Path:
    path = folder / "locked.fcs"
    path.write_bytes(GOOD)
    path.chmod(0)
    if os.access(path, os.R_OK):
        raise Unavailable("the superuser reads everything")
    return path


def below_a_file(folder: Path) -> Path:
    (folder / "tube.fcs").write_bytes(GOOD)
    return folder / "tube.fcs" / "inside.fcs"


def named(name: str, content: bytes = GOOD):
    def put(folder: Path) -> Path:
        path = folder / name
        try:
            path.write_bytes(content)
        except OSError as error:
            raise Unavailable(f"no such names here: {error}") from None
        return path

    return put


book.refused("folder", None, put=folder_itself, says=(("folder", "directory", "regular"),))
book.refused("folder_named_fcs", None, put=folder_named_fcs, says=(("folder", "directory", "regular"),))
book.refused("pipe", None, put=fifo, says=(("pipe", "regular"),))
book.refused("socket", None, put=bound_socket)
book.refused("link_to_a_pipe", None, put=lambda folder: [fifo(folder), link_to("pipe.fcs")(folder)][1])
book.refused("device_zero", None, put=there("/dev/zero"), says=(("device", "regular"),))
book.refused("device_null", None, put=there("/dev/null"))
book.refused("device_random", None, put=there("/dev/urandom"))
book.refused("device_terminal", None, put=there("/dev/tty"))
# Regular files of the kernel that say they are empty, and one that answers every read with an error.
book.refused("kernel_status", None, put=there("/proc/self/status"))
book.refused("kernel_memory", None, put=there("/proc/self/mem"))
book.refused("unreadable", None, put=unreadable, says=(("permission", "read"),))
book.refused("missing", None, put=lambda folder: folder / "absent.fcs")
book.refused("missing_folder", None, put=lambda folder: folder / "absent" / "tube.fcs")
book.refused("below_a_file", None, put=below_a_file)
book.refused("link_that_dangles", None, put=link_to("nowhere.fcs"))
book.refused("link_to_itself", None, put=link_to("link.fcs"))
book.refused("link_to_a_folder", None, put=link_to("."))
book.loads(
    "link_to_a_tube",
    None,
    put=lambda folder: [named("tube.fcs")(folder), link_to("tube.fcs")(folder)][1],
    rows=ROWS,
    names=NAMES,
)
book.loads("path_as_text", None, put=lambda folder: str(named("tube.fcs")(folder)), rows=ROWS, names=NAMES)
book.refused("path_too_long", None, put=lambda folder: folder / ("x" * 5000 + ".fcs"))
book.refused("path_with_nul", None, put=lambda folder: folder / "tube\0.fcs")
book.refused("path_empty", None, put=lambda folder: "")
HOSTILE = {
    "escape": "\x1b[31mtube\x1b]0;x\x07.fcs",
    "newline": "tube\nok: 5 files.fcs",
    "formula": "=1+1.fcs",
    "html": "<b>x&y.fcs",
    "right_to_left": "tube\u202escf.exe",
    "not_utf8": os.fsdecode(b"t\xffube.fcs"),
    "blank": " .fcs",
    "dash": "-rf.fcs",
}
for name, file_name in HOSTILE.items():
    book.loads(f"path_{name}", None, put=named(file_name), rows=ROWS, names=NAMES)
    book.refused(f"path_{name}_broken", None, put=named(file_name, GOOD[:100]))
    book.refused(f"path_{name}_missing", None, put=lambda folder, n=file_name: folder / n)

CASES = book.cases
