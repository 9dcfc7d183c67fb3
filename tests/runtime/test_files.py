"""One writer for every file: whole or not at all, regular files alone, never what is read."""

import os
import resource
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import atomic_write, check_folder, check_places, read_kept_json, write_csv, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), atomic_write(file) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert file.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        file = write_text(tmp_path / "deep" / "a.txt", "text")
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == mode


def test_the_mode_of_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    file = write_text(tmp_path / "a.txt", "old")
    file.chmod(0o640)
    assert write_text(file, "new").stat().st_mode & 0o777 == 0o640


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "there" / "a.csv")
    write_csv(pd.DataFrame({"x": [1]}), link)
    assert link.is_symlink()
    assert (tmp_path / "there" / "a.csv").read_text(encoding="utf-8") == "x\n1\n"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for place in (tmp_path / "pipe", tmp_path / "null", Path("/dev/null"), Path("/dev/full")):
        with pytest.raises(InputError, match=r"found a device or a pipe; allowed: a regular file"):
            write_text(place, "text")
    with pytest.raises(InputError, match=r"found a folder; allowed: a file name"):
        write_text(tmp_path, "text")
    assert Path("/dev/null").is_char_device()
    assert names(tmp_path) == ["null", "pipe"]


def test_a_name_that_no_disk_takes_is_refused_before_the_work(tmp_path: Path) -> None:
    for place in (tmp_path / ("ü" * 150), tmp_path / ("x" * 300) / "a.csv"):
        with pytest.raises(InputError, match=r"found a name of 300 bytes .* allowed: up to 255 bytes"):
            check_places({"--out": place})
    # the temporary name beside it is no longer than that
    write_text(tmp_path / ("x" * 251 + ".csv"), "text")


def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    file = write_text(tmp_path / "file", "text")
    with pytest.raises(InputError, match=r"file, a file; allowed: a folder there"):
        check_places({"--out": file / "deep" / "a.csv"})
    with pytest.raises(InputError, match=r"--out: found .*file, a file; allowed: a folder"):
        check_folder("--out", file, ["a.csv"])
    with pytest.raises(InputError, match=r"cannot write there"):
        check_places({"--out": Path("/proc/none/a.csv")})
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match=r"loop, a file; allowed: a folder there"):
        check_places({"--out": tmp_path / "loop" / "a.csv"})
    check_places({"--out": tmp_path / "new" / "deep" / "a.csv", "--figure": None})
    assert names(tmp_path) == ["file", "loop"]


def test_neither_inputs_nor_other_outputs_are_replaced(tmp_path: Path) -> None:
    curve = write_text(tmp_path / "curve.csv", "text")
    (tmp_path / "link.csv").symlink_to(curve)
    (tmp_path / "hard.csv").hardlink_to(curve)
    for place in (curve, tmp_path / "link.csv", tmp_path / "hard.csv", tmp_path / ".." / tmp_path.name / "curve.csv"):
        with pytest.raises(InputError, match=r"--out: found .*, which is an input; allowed: a file that is not read"):
            check_places({"--out": place}, [curve])
    with pytest.raises(InputError, match=r"--out, --draws-out: found .*a.csv for both; allowed: a file each"):
        check_places({"--out": tmp_path / "a.csv", "--draws-out": tmp_path / "." / "a.csv"})
    with pytest.raises(InputError, match=r"--out, curve.csv: found"):
        check_folder("--out", tmp_path, ["other.csv", "curve.csv"], [curve])


@pytest.fixture
def small_disk() -> Generator[None]:
    """A limit on the size of files stands for the disk: writing fails in the same way, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def text_of(place: Path) -> None:
    place.write_text("x" * 100_000, encoding="utf-8")


def netcdf_of(place: Path) -> None:
    tree = xr.Dataset({"x": ("row", np.arange(100_000.0))})
    place.write_bytes(bytes(tree.to_netcdf(engine="netcdf4")))


@pytest.mark.parametrize("fill", [text_of, netcdf_of])
def test_a_disk_that_is_full_is_one_message_and_leaves_the_old_file(tmp_path: Path, fill, request) -> None:
    file = write_text(tmp_path / "a.nc", "old")
    request.getfixturevalue("small_disk")
    with pytest.raises(InputError) as problem, atomic_write(file) as temporary:
        fill(temporary)
    assert str(problem.value).startswith(f"{file}: found cannot write there (")
    assert "make room, or write elsewhere" in str(problem.value)
    assert file.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.nc"]


def test_a_kept_file_that_is_broken_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    for broken in (b"", b'{"a": 1', b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "kept.json").write_bytes(broken)
        assert read_kept_json(tmp_path / "kept.json") is None
    assert read_kept_json(tmp_path / "none.json") is None
    assert read_kept_json(write_text(tmp_path / "kept.json", '{"a": 1}')) == {"a": 1}
