"""Good inputs of every reader, mutated: for the fuzz test and for `scripts/fuzz_readers.py`."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayes_bm.cli.parsing import parse_changes, parse_names, parse_pairs, parse_sizes, parse_times
from bayes_bm.evidence.people import read_cohort, read_people
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.runtime.errors import BayesBmError
from bayes_bm.spec.reading import read_spec
from tests.builders import worlds
from tests.builders.worlds import normal

SPEC = worlds.spec(covariates={"age": {"prior": normal(0.5), "lower": 18.0, "upper": 110.0, "unit": "years"}})
GOOD = {
    "patients": "study,arm,treatment,time,event,entry,time_upper,kps\nA,a,x,3.5,1,,,-1\nA,a,x,7,0,2,,0.5\n",
    "arms": "study,arm,treatment,endpoint,n,events,share_male,mean_age\nA,a,x,os,30,12,0.4,61\nA,b,y,os,,,,\n",
    "points": "study,arm,endpoint,time,survival,ci_low,ci_high,n\nA,a,os,12,0.5,0.3,0.7,30\nA,a,os,6,0.7,,,\n",
    "medians": "study,arm,endpoint,median,ci_low,ci_high,n\nA,a,os,8.5,6,12,30\nA,b,os,,9,,\n",
    "hazard_ratios": "study,endpoint,treatment,reference,hr,ci_low,ci_high,p\nA,os,x,y,0.6,0.4,0.9,\nB,os,x,y,2,,,.1\n",
    "prognostic_ratios": "study,covariate,endpoint,hr,ci_low,ci_high,per,population\nA,age,os,1.2,1,1.5,10,same\n",
    "counts": "study,arm,endpoint,events,n,time\nA,a,os,0,30,\nA,b,os,12,20,6\n",
    "registry": "study,arm,endpoint,start,stop,n,alive\nA,a,os,0,5,30,22\nA,a,os,5,6,20,20\n",
    "background": "time,hazard\n0,0.01\n1,0.02\n",
    "curves": "study,arm,treatment,endpoint,curve,n,axis_max,time_unit\nA,a,x,os,a.csv,30,24,months\n",
    "curve": "time,survival\n-0.3,1.006\n2.5,0.9\n4,0.5\n",
    "at_risk": "time,at_risk\n0,34\n5,30\n",
    "ticks": "time\n3\n4.5\n",
}
PIECES = [
    *("", ",", ";", "\t", '"', "'", "\n", "\r", "\r\n", "\0", "\ufeff", "\u200b", "\u0663", "\u2212", "\xa0", "\u2028"),
    *("nan", "inf", "-inf", "1e999", "-1", "0", "1e-320", "9" * 500, "NA", "None", "true", "=1+1", "x_", "%", "12,5"),
    *("[", "]", "{", "}", "=", ".", "#", "[[a]]", '"""', "\\", "a.b.c.d", "\U0001f600"),
]


@dataclass(frozen=True)
class Reader:
    """A reader and the inputs that it takes."""

    good: tuple[bytes, ...]
    read: Callable[[bytes, Path], Any]

    def outcome(self, data: bytes, folder: Path) -> str:
        """`read`, `refused: the message`, or `fault: the exception`, which is never right."""
        try:
            self.read(data, folder)
        except BayesBmError as problem:
            return f"refused: {problem}"
        except Exception as problem:
            return f"fault: {type(problem).__name__}: {problem}"
        return "read: "


def _written(data: bytes, folder: Path, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _table(kind: str) -> Callable[[bytes, Path], Any]:
    return lambda data, folder: read_table(kind, _written(data, folder))


def _text(parse: Callable[[str], Any]) -> Callable[[bytes, Path], Any]:
    return lambda data, folder: parse(data.decode("utf-8", "replace"))


SPECS = tuple(path.read_bytes() for path in sorted((Path(__file__).parents[2] / "models").glob("*.toml")))
READERS: dict[str, Reader] = {
    **{kind: Reader((text.encode(),), _table(kind)) for kind, text in GOOD.items()},
    "people": Reader((b"patient,age,x_n\nA,50,n\nB,61.5,\n",), lambda data, to: read_people(SPEC, _written(data, to))),
    "cohort": Reader((b"age,time\n50,3\n61.5,4\n",), lambda data, to: read_cohort(SPEC, _written(data, to))),
    "outcomes": Reader(
        (b"age,time,event,treatment\n50,3,1,a\n61.5,4,0,b\n",),
        lambda data, to: read_cohort(SPEC, _written(data, to), outcomes=True),
    ),
    "spec": Reader(SPECS, lambda data, to: read_spec(_written(data, to, "s.toml"))),
    "set": Reader(
        (b"priors.log_hr.sd=0.5", b'evidence.arms=["a.csv"]', b"hazard.family=weibull"),
        _text(lambda text: read_spec("os_systemic", changes=parse_changes([text]))),
    ),
    "times": Reader((b"6,12,24",), _text(parse_times)),
    "pairs": Reader((b"age=61,kps=80",), _text(parse_pairs)),
    "names": Reader((b"survival,median",), _text(lambda text: parse_names(text, "--estimand"))),
    "sizes": Reader((b"20,80",), _text(parse_sizes)),
}


def mutated(good: tuple[bytes, ...], rng: random.Random) -> bytes:
    """Return one of the good inputs with one to four changes: pieces put in, cut, doubled, swapped, bytes turned."""
    data = bytearray(rng.choice(good))
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(data))
        end = min(len(data), start + rng.randint(0, 12))
        change = rng.randrange(6)
        if change == 0:
            data[start:end] = rng.choice(PIECES).encode("utf-8", "replace")
        elif change == 1:
            del data[start:end]
        elif change == 2:
            data[start:start] = data[start:end] * rng.choice((1, 1, 2, 50))
        elif change == 3 and data:
            data[rng.randrange(len(data))] = rng.randrange(256)
        elif change == 4:
            cells = bytes(data).split(b",")
            one, other = rng.randrange(len(cells)), rng.randrange(len(cells))
            cells[one], cells[other] = cells[other], cells[one]
            data = bytearray(b",".join(cells))
        else:
            lines = bytes(data).split(b"\n")
            rng.shuffle(lines)
            data = bytearray(b"\n".join(lines))
    return bytes(data)
