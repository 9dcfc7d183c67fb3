"""Folders for compiled code where the usual ones cannot be written: a read-only installation, no home.

numba keeps compiled code beside the package or in the user's cache, PyTensor and matplotlib in the home folder. Where
that fails, a folder under the system's temporary one takes it, and this is told once; where even that fails, code is
compiled anew in every process.
"""

import functools
import logging
import os
import stat
import tempfile
from pathlib import Path


@functools.cache
def lend_folder() -> Path | None:
    """Return a folder that this user alone can write, the same in every process, and tell of it; None where there is
    none.

    Nobody else may put code there that we would run, so a folder that another user made is not taken.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"bayes-bm-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022:
            folder = Path(tempfile.mkdtemp(prefix="bayes-bm-"))
    except OSError:
        tell_not_kept("no folder can be written")
        return None
    _tell(f"the usual folders for compiled code cannot be written; {folder} takes it")
    return folder


@functools.cache
def tell_not_kept(reason: str) -> None:
    """Say once that compiled code is lost with this process."""
    _tell(f"compiled code is not kept ({reason}): it is made anew in every process")


def _tell(text: str) -> None:
    """Say it on standard error, unless a library's caller has given logging another place."""
    logging.getLogger("bayes_bm").warning("bayes-bm: %s", text)


def lend_numba_cache() -> bool:
    """Give numba another folder for compiled code, for this process and those it starts; False where there is none."""
    from numba import config

    folder = lend_folder()
    if folder is None:
        return False
    os.environ["NUMBA_CACHE_DIR"] = str(folder / "numba")
    config.CACHE_DIR = str(folder / "numba")  # pyright: ignore[reportAttributeAccessIssue]
    return True


def lend_graph_caches() -> None:
    """Give PyTensor, and matplotlib which comes with PyMC, other folders where their own cannot be written.

    Both read the environment when they are imported, so this comes before.
    """
    flags = os.environ.get("PYTENSOR_FLAGS", "")
    if "compiledir" not in flags and not _can_write(Path.home() / ".pytensor"):
        folder = lend_folder()
        if folder is not None:
            flags = f"{flags},base_compiledir={folder / 'pytensor'}".lstrip(",")
            os.environ["PYTENSOR_FLAGS"] = flags
    lend_drawing_cache()


def lend_drawing_cache() -> None:
    """Give matplotlib another folder for its fonts where its own cannot be written."""
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    fonts = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    writable = all(_can_write(place / "matplotlib") for place in (settings, fonts))
    if "MPLCONFIGDIR" not in os.environ and not writable:
        folder = lend_folder()
        if folder is not None:
            os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")


def _can_write(folder: Path) -> bool:
    """Whether a folder can be made there, or written where it is; nothing is made."""
    there = next((parent for parent in (folder, *folder.parents) if os.path.lexists(parent)), folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
