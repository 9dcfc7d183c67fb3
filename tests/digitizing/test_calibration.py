"""`calibration.toml`: what is written comes back, what was changed is given, and what means nothing is refused."""

from dataclasses import replace

import pytest

from bayes_bm.digitizing.calibration import Calibration, GivenArm, GivenAxis, GivenRow, GivenTick
from bayes_bm.digitizing.calibration_file import calibration_text, read_calibration, write_calibration
from bayes_bm.digitizing.scene import Box
from bayes_bm.runtime.errors import InputError

AXIS = GivenAxis((GivenTick(100.25, 0.0), GivenTick(300.5, 12.0)), "ticks")
WHOLE = Calibration(
    page=2,
    panel=1,
    box=Box(100.0, 20.0, 400.0, 320.0),
    skew=0.5,
    time=AXIS,
    level=GivenAxis((GivenTick(320.0, 0.0), GivenTick(20.0, 100.0)), "ocr 0.93"),
    percent=True,
    time_unit="months",
    arms=(
        GivenArm("5-FU", (31 / 255, 119 / 255, 180 / 255), (4.0, 2.0), ((110.0, 40.5),), source="legend"),
        GivenArm("limit", drop=True),
        GivenArm("typed", corners=((0.0, 1.0), (3.0, 0.5)), marks=(1.5, 2.0)),
    ),
    rows=(GivenRow("at_risk", "5-FU", (0.0, 6.0), (40, -1), "ocr 0.93"),),
    marks=True,
    accepted=("hidden_line: 5-FU",),
)


def test_what_is_written_is_read_back(tmp_path):
    path = write_calibration(WHOLE, tmp_path / "calibration.toml", figure="a.pdf")
    assert read_calibration(path) == WHOLE
    assert path.read_text().startswith("# What was read from a.pdf")


def test_an_item_that_somebody_changed_is_given_and_the_others_are_as_read(tmp_path):
    path = tmp_path / "calibration.toml"
    text = calibration_text(WHOLE)
    assert text.count("value = 12.0") == 1
    path.write_text(text.replace("value = 12.0", "value = 24.0"))
    read = read_calibration(path)
    assert read.time == replace(AXIS, ticks=(AXIS.ticks[0], GivenTick(300.5, 24.0)), source="given")
    assert read.level == WHOLE.level
    assert [arm.source for arm in read.arms] == ["legend", "given", "given"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("percnt = true", "calibration.toml, percnt: found an unknown key; .*did you mean percent?"),
        ("percent = 1", "calibration.toml, percent: found 1; allowed: true, false"),
        ("page = 0", "page: found 0; allowed: a whole number, 1 or more"),
        ("panel = true", "panel: found True"),
        ('time_unit = "month"', "time_unit: found 'month'; .*did you mean months?"),
        ("box = [1, 2, 3]", "box: found .*allowed: a list of 4"),
        ("box = [3, 2, 1, 4]", "box: found .*left < right"),
        ("box = 4", "box: found"),
        ("skew = 90", "skew: found 90; allowed: -45 to 45"),
        ("skew = nan", "skew: found nan; allowed: a number"),
        ("time = 3", "time: found 3; allowed: a table with from, check, ticks"),
        ("[time]\nticks = [{ place = 1, value = 2 }]", "time, ticks: found .*; allowed: a list of 2 or more"),
        ("[time]\nfrom = 'given'", "time, ticks: found nothing"),
        ("[time]\nticks = [{ place = 1 }, { place = 2, value = 1 }]", "ticks, item 1: found"),
        (
            "[level]\nticks = [{place=1, value=0}, {place=2, value=5}, {place=3, value=1}]",
            "level, ticks: found 0 at 1, 5 at 2, 1 at 3; values rise or fall",
        ),
        ("[[arms]]\ncolour = '#ff0000'", "arms, item 1, name: found nothing"),
        ("[[arms]]\nname = 'a'\ncolour = 'red'", "arms, item 1, colour: found 'red'; allowed: a colour as"),
        ("[[arms]]\nname = 'a'\nthrough = [[1, 2, 3]]", "through, item 1: found .*two numbers"),
        ("[[arms]]\nname = 'a'\ncorners = [[0, 100], [1, 50]]", "corners, item 1: found 100; allowed: 0 to 1"),
        ("[[arms]]\nname = 'a'\ncorners = [[0, 0.5], [1, 0.7]]", "corners: found .*survival does not rise"),
        ("[[arms]]\nname = 'a'\n[[arms]]\nname = 'a'", "arms: found a twice"),
        ("[[rows]]\narm = 'a'\ntimes = [0, 1]\ncounts = [3]", "rows, item 1: found 2 times and 1 counts"),
        ("[[rows]]\narm = 'a'\ntimes = [0]\ncounts = [3.5]", "counts, item 1: found 3.5"),
        ("[[rows]]\narm = 'a'\nkind = 'risk'\ntimes = [0]\ncounts = [3]", "kind: found 'risk'; allowed: at_risk"),
        ("accepted = 'hidden'", "accepted: found 'hidden'; allowed: a list"),
        ("a b", "calibration.toml: found not valid TOML .*bayes-bm digitize writes"),
    ],
)
def test_what_means_nothing_is_refused_with_its_key(tmp_path, text, message):
    path = tmp_path / "calibration.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_calibration(path)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file of text"):
        read_calibration(tmp_path / "absent.toml")
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match="no file of text"):
        read_calibration(path)
