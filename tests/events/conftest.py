"""Fixtures for tests of files: bytes in, a sample or a refusal out."""

import pytest

from nti7flow.errors import FcsError
from nti7flow.events.codes import CODES
from nti7flow.events.fcs import read_fcs


@pytest.fixture(scope="session")
def read(tmp_path_factory):
    """Write bytes to a file and read them."""
    path = tmp_path_factory.mktemp("read") / "tube.fcs"

    def write_and_read(raw: bytes, **options):
        path.write_bytes(raw)
        return read_fcs(path, **options)

    return write_and_read


@pytest.fixture(scope="session")
def noted(read):
    """Write bytes to a file, read them, and return the codes of the notes."""

    def codes_of(raw: bytes, **options) -> list[str]:
        return [note.code for note in read(raw, **options).notes]

    return codes_of


@pytest.fixture(scope="session")
def refused(tmp_path_factory):
    """Write bytes to a file and return the error with which it is refused: one line, with a code of the table."""
    path = tmp_path_factory.mktemp("refused") / "tube.fcs"

    def write_and_refuse(raw: bytes, code: str | None = None, **options) -> FcsError:
        path.write_bytes(raw)
        with pytest.raises(FcsError) as caught:
            read_fcs(path, **options)
        error = caught.value
        assert str(error).startswith(f"{path}: {error.title}")
        assert str(error).endswith(f"[{error.code}]")
        assert str(error).isprintable()
        assert (error.path, error.title) == (str(path), CODES[error.code].title)
        assert error.found
        assert error.byte_offset is None or f"(byte {error.byte_offset:,})" in str(error)
        assert error.__cause__ is None
        assert code is None or error.code == code, str(error)
        return error

    return write_and_refuse
