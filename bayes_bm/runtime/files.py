"""Files are written whole or not at all."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bayes_bm.runtime.errors import InputError


@contextmanager
def atomic_write(path: Path) -> Generator[Path]:
    """A temporary file beside `path` that takes its name when the block ends well, and is removed when it does not."""
    if path.is_dir():
        raise InputError(str(path), found="a folder", allowed="a file name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as problem:
        raise InputError(str(path), found=f"cannot write there ({problem.strerror})") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
