"""Files are written whole or not at all, in one way for all of them.

A file is made under another name beside its place, brought to the disk (fsync) and renamed. Nothing but a regular file
is ever replaced, and what a command reads is not written over. `check_places` asks all this before long work begins.
"""

import errno
import hashlib
import json
import os
import re
import stat
import uuid
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.spreadsheets import defuse

if TYPE_CHECKING:
    from pandas import DataFrame

LONGEST_NAME = 255
"""Bytes of one part of a path: the limit of ext4, XFS, APFS and NTFS."""
NOT_WHOLE = ("ENOSPC", "EDQUOT", "EFBIG", "EIO")
"""Names of errors that say that a disk took no more."""


@contextmanager
def atomic_write(path: Path) -> Generator[Path]:
    """Give a temporary file beside `path` that takes its name when the block ends well, and is removed when it does
    not.

    A link is followed, and the mode of a file that is there is kept; a new one has the mode that the umask leaves.
    Raises `InputError` where the place cannot be written, before the block and at its end.
    """
    target = _checked_target(path)
    temporary = target.with_name(f".bayes-bm-{uuid.uuid4().hex[:12]}{target.suffix[:20]}")
    with refused_as_input(path):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with refused_as_input(path):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        with refused_as_input(path):
            yield temporary
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def refused_as_input(path: Path | str) -> Generator[None]:
    """Turn an error of the system within the block into one message about `path`: no space, no right to write."""
    try:
        yield
    except OSError as problem:
        if problem.errno == errno.EPIPE:
            raise
        raise write_error(path, problem) from None


def write_error(path: Path | str, problem: OSError) -> InputError:
    """Return the message for a place that took no file."""
    full = problem.errno in {getattr(errno, name) for name in NOT_WHOLE}
    hint = "make room, or write elsewhere; nothing half-written is left" if full else "choose another place"
    return InputError(str(path), found=f"cannot write there ({problem.strerror or problem})", hint=hint)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk; some file systems cannot do that for a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(handle)


def _checked_target(path: Path) -> Path:
    """Return the file that a path leads to. Raises `InputError` where a file can neither be made nor replaced."""
    long = [part for part in path.parts if len(os.fsencode(part)) > LONGEST_NAME]
    if long:
        found = f"a name of {len(os.fsencode(long[0]))} bytes ({long[0][:20]}...)"
        raise InputError(f"{str(path)[:60]}...", found=found, allowed=f"up to {LONGEST_NAME} bytes")
    with refused_as_input(path):
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode if target.exists() else None
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(str(path), found="a folder", allowed="a file name")
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(str(path), found="a device or a pipe", allowed="a regular file, or the name of a new one")
    if mode is not None and not os.access(target, os.W_OK):
        raise InputError(str(path), found="a file that is write-protected", allowed="a file that can be replaced")
    return target


def check_places(places: Mapping[str, Path | None], inputs: Iterable[Path] = ()) -> None:
    """Refuse places that could not be written in the end, before any work.

    Parameters
    ----------
    places : mapping of str to pathlib.Path or None
        Files that will be written, by the option that names them; None where an option was left out.
    inputs : iterable of pathlib.Path
        Files that are read, which no output may replace.

    Raises
    ------
    InputError
        Where a place is a folder, a device, an input or another output, or where no file can be made.
    """
    chosen = {option: path for option, path in places.items() if path is not None}
    read = {os.path.realpath(path): path for path in inputs}
    taken: dict[Path, str] = {}
    for option, path in chosen.items():
        target = _checked_target(path)
        same = next((given for given in read.values() if _is_same_file(target, given)), None)
        if same is not None:
            hint = "it would replace what is read: write elsewhere"
            raise InputError(option, found=f"{path}, which is an input", allowed="a file that is not read", hint=hint)
        if target in taken:
            raise InputError(f"{taken[target]}, {option}", found=f"{path} for both", allowed="a file each")
        taken[target] = option
        _try_folder(path, target.parent)


def check_folder(option: str, folder: Path, names: Iterable[str], inputs: Iterable[Path] = ()) -> None:
    """Refuse a folder of outputs that is a file, that cannot be written, or in which an input has a name of `names`."""
    if folder.exists() and not folder.is_dir():
        raise InputError(option, found=f"{folder}, a file", allowed="a folder, for several files")
    inputs = list(inputs)
    for name in names:
        check_places({f"{option}, {name}": folder / name}, inputs)


def _is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, by whatever links."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _try_folder(path: Path, folder: Path) -> None:
    """Make and remove a file in the nearest folder that is there: nothing less is sure (read-only, no right, full)."""
    there = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not there.is_dir():
        raise InputError(str(path), found=f"{there}, a file", allowed="a folder there")
    probe = there / f".bayes-bm-{uuid.uuid4().hex[:12]}"
    try:
        with refused_as_input(path):
            os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    finally:
        probe.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> Path:
    """Write a text as UTF-8, whole or not at all, and return its path."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")
    return path


def write_csv(table: "DataFrame", path: Path) -> Path:
    """Write a table without its index, whole or not at all, and return its path; no cell is a spreadsheet's formula."""
    with atomic_write(path) as file:
        defuse(table).to_csv(file, index=False)
    return path


def read_kept_json(path: Path) -> Any:
    """Return what a kept file of JSON holds; None where it is absent or broken, so that it is made anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


LONGEST = 100
"""Letters of a name within the name of a file; file systems take 255 bytes for all of it."""


def file_name_part(name: str) -> str:
    """Return a name as it may stand in the name of a file; a long one is cut and has a digest for what was cut off."""
    plain = re.sub(r"[^A-Za-z0-9_.+-]", "_", name)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
