"""Tables of patients, contrasts and arms as programs of R have them, by the names of their columns.

Sources: the help pages of `getIPD` (IPDfromKM), `kmdata`, `survHE`, `netmeta` and `pairwise` (netmeta), `mtc.network`
(gemtc), `set_ipd`, `set_agd_contrast` and `set_agd_arm` (multinma), `escalc` (metafor).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bayes_bm.evidence.tables.schema import TABLES

STUDY = ("study", ".study", "studlab", "slab", "trial", "author")
"""Names of the column of studies; of none of these, the study is given or the table is of one series."""


@dataclass(frozen=True)
class Form:
    """A kind of table of another program: what it is called, and the names of its columns by what they hold.

    A column may have several names. Those in `optional` may be absent.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    optional: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return the form for a message: its name, then its columns."""
        return f"{self.name} ({', '.join(names[0] for names in self.columns.values())})"


PATIENTS = (
    Form("IPDfromKM", {"time": ("time",), "event": ("status",), "treatment": ("treat",)}),
    Form(
        "multinma",
        {"study": STUDY, "treatment": ("trt", ".trt"), "time": ("time",), "event": ("status", "event", "death")},
        optional=("study",),
    ),
    Form(
        "R's Surv",
        {
            "study": STUDY,
            "treatment": ("arm", "treatment", "group", "rx", "tx"),
            "time": (
                *("time", "futime", "survival_time", "os_time", "os_months", "pfs_months"),
                *("months", "weeks", "days", "years"),
            ),
            "event": ("event", "status", "death", "dead", "died", "fustat", "os_event"),
        },
        optional=("study", "treatment"),
    ),
)
CONTRASTS = (
    Form(
        "netmeta",
        {
            "study": STUDY,
            "treatment": ("treat1", "t1"),
            "reference": ("treat2", "t2"),
            "log_hr": ("te",),
            "se": ("sete",),
        },
    ),
    Form(
        "metafor", {"study": STUDY, "log_hr": ("yi",), "se": ("sei",), "variance": ("vi",)}, optional=("se", "variance")
    ),
    Form("multinma", {"study": STUDY, "treatment": ("trt", ".trt"), "log_hr": ("y", ".y"), "se": ("se", ".se")}),
    Form(
        "gemtc", {"study": STUDY, "treatment": ("treatment",), "log_hr": ("diff", "mean"), "se": ("std.err", "std_err")}
    ),
)
ARMS = (
    Form("gemtc", {"study": STUDY, "treatment": ("treatment",), "events": ("responders",), "n": ("samplesize",)}),
    Form("netmeta", {"study": STUDY, "treatment": ("treat",), "events": ("event",), "n": ("n",)}),
    Form("multinma", {"study": STUDY, "treatment": ("trt", ".trt"), "events": ("r", ".r"), "n": ("n", ".n")}),
)
FORMS: Mapping[str, tuple[Form, ...]] = {
    "patients": PATIENTS,
    "hazard_ratios": CONTRASTS,
    "counts": ARMS,
    "arms": ARMS,
}
"""The forms that become each table of this package."""


def other_names(table: str) -> Mapping[str, frozenset[str]]:
    """Return what other programs call each column of a table of this package, in lower case."""
    known: dict[str, set[str]] = {}
    for form in FORMS[table]:
        for column, names in form.columns.items():
            known.setdefault(column, set()).update(names)
    return {column: frozenset(names - TABLES[table].keys()) for column, names in known.items()}
