"""A spec and a table of ten patients as text, which a command reads and fits in a second."""

from pathlib import Path

SPEC = """
schema = 1
name = "small"
question = "is a better than b?"
endpoint = "os"
[evidence]
patients = ["ipd.csv"]
[treatments]
reference = "a"
compare = ["b"]
[priors]
intercept = { dist = "normal", sd = 1.0, why = "test" }
log_hr = { dist = "normal", sd = 1.0, why = "test" }
log_shape = { dist = "normal", sd = 0.3, why = "test" }
"""
PATIENTS = "study,arm,treatment,time,event\n" + "".join(
    f"s,{arm},{arm},{time},{event}\n" for arm in "ab" for time, event in ((2, 1), (5, 1), (7, 0), (11, 1), (16, 0))
)
ENDLESS = f"""{SPEC}[sampling]
draws = 2000000
tune = 300
chains = 1
"""
"""Draws for a quarter of an hour: whoever comes to the end of them was not stopped."""
OLD = b"a result of before"


def write_world(folder: Path, changes: dict[str, str]) -> None:
    """Write the endless spec with texts replaced, its patients, and a result of before at `r.nc`."""
    text = ENDLESS
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "ipd.csv").write_text(PATIENTS, encoding="utf-8")
    (folder / "small.toml").write_text(text, encoding="utf-8")
    (folder / "r.nc").write_bytes(OLD)
