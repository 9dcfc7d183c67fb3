"""Evidence of a spec as the tables and lines of R that multinma, survextrap, metafor and survival read."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.spreadsheets import defuse
from bayes_bm.spec.document import Spec

SCRIPT = "analysis.R"
"""Name of the lines of R beside the tables."""
KINDS = ("patients", "sequences", "medians", "hazard_ratios", "counts", "registry", "prognostic_ratios")
"""Tables of the evidence that a program may or may not take."""
WORDS = {"sequences": "points", "prognostic_ratios": "prognostic ratios", "hazard_ratios": "hazard ratios"}


@dataclass(frozen=True)
class Bundle:
    """Files of a folder, name to text, and what of the evidence they do not hold, a sentence each."""

    files: Mapping[str, str]
    left_out: tuple[str, ...]


def r_bundle(program: str, spec: Spec, evidence: Evidence) -> Bundle:
    """Return tables and an R script with the same data and, where the program has them, the same priors.

    Parameters
    ----------
    program : str
        One of `PROGRAMS`.
    spec : Spec
        Gives treatments, priors and the unit of time.
    evidence : Evidence
        Rebuilt patients stand among the patients.

    Raises
    ------
    InputError
        Where the evidence holds nothing that the program reads.
    """
    tables, lines = PROGRAMS[program](spec, evidence)
    if not tables:
        raise InputError(
            "--to", found=f"{program}, and no rows that it reads in {spec.name}", allowed=", ".join(PROGRAMS)
        )
    left_out = tuple(_left_out(program, evidence))
    head = [
        f"# {' '.join(spec.question.split())}",
        f"# Times in {spec.time_unit}; written by bayes-bm convert.",
        *_comments(left_out),
    ]
    files = {name: defuse(table).to_csv(index=False) for name, table in tables.items()}
    return Bundle({**files, SCRIPT: "\n".join([*head, "", *lines]) + "\n"}, left_out)


def _left_out(program: str, evidence: Evidence) -> Iterator[str]:
    """Yield what of the evidence a program does not take, with how many rows there are of it."""
    rows = {kind: len(getattr(evidence, kind)) for kind in KINDS if kind not in TAKEN[program]}
    if "patients" in TAKEN[program]:
        rows["patients known within an interval alone"] = int(evidence.patients["time_upper"].notna().sum())
    if program == "survextrap":
        rows["patients who enter late"] = int((evidence.patients["entry"] > 0).sum())
    if program in ("multinma", "survextrap"):
        rows["weights of patients"] = int((evidence.patients["weight"] != 1).sum())
    for kind, number in rows.items():
        if number:
            yield f"{program} does not take {WORDS.get(kind, kind)}: {number} row{'s' if number > 1 else ''}"


def _comments(sentences: tuple[str, ...]) -> list[str]:
    return [f"# Left out: {sentence}." for sentence in sentences]


def _patients(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    """Return patients with covariates; none that are known within an interval alone."""
    rows = evidence.patients
    exact = rows[rows["time_upper"].isna()]
    covariates = [name for name in spec.covariates if name in exact]
    weight = ["weight"] if (exact["weight"] != 1).any() else []
    names = {"treatment": "trt", "event": "status"}
    return exact[["study", "treatment", "entry", "time", "event", *weight, *covariates]].rename(columns=names)


def _quoted(text: str) -> str:
    """Return a text as R reads it; the marks that JSON escapes are those that R does."""
    return json.dumps(text, ensure_ascii=False)


def _prior(prior: object) -> str:
    return f"normal({getattr(prior, 'mean', 0.0):g}, {getattr(prior, 'sd', 10.0):g})"


Written = tuple[dict[str, pd.DataFrame], list[str]]
"""Tables by the names of their files, and lines of R."""


def _multinma(spec: Spec, evidence: Evidence) -> Written:
    """Write patients as `set_ipd`, and ratios as a network of contrasts of its own."""
    tables, lines = {}, ["library(multinma)"]
    effect = spec.effects.study_treatment
    kind = "random" if effect is not None else "fixed"
    settings = [f'trt_effects = "{kind}"', f"prior_trt = {_prior(spec.priors.log_hr)}"]
    if effect is not None:
        settings.append(f"prior_het = half_normal({getattr(effect.sd, 'sd', 1.0):g})")
    reference = f"trt_ref = {_quoted(spec.treatments.reference)}"
    patients = _patients(spec, evidence)
    if len(patients):
        tables["ipd.csv"] = patients
        lines += [
            'ipd <- read.csv("ipd.csv")',
            "network <- set_ipd(ipd, study = study, trt = trt,",
            f"  Surv = Surv({'entry, ' if (patients['entry'] > 0).any() else ''}time, status), {reference})",
            f'fit <- nma(network, likelihood = "weibull", {", ".join(settings)},',
            f"  prior_intercept = {_prior(spec.priors.intercept)})",
            "relative_effects(fit)",
        ]
    if len(evidence.hazard_ratios):
        tables["contrasts.csv"] = _contrasts(evidence)
        lines += [
            'contrasts <- read.csv("contrasts.csv")',
            f"ratios <- set_agd_contrast(contrasts, study = study, trt = trt, y = y, se = se, {reference})",
            f"fit_ratios <- nma(ratios, {', '.join(settings)})",
            "relative_effects(fit_ratios)",
        ]
    return tables, lines


def _contrasts(evidence: Evidence) -> pd.DataFrame:
    """Return log ratios with a row for each study's reference, as `set_agd_contrast` wants them.

    Its y is blank; its se is the square root of the covariance that the study's ratios share, blank of one ratio alone.
    """
    ratios = evidence.hazard_ratios.reset_index(drop=True)
    covariance = evidence.hr_cholesky @ evidence.hr_cholesky.T
    rows = []
    for study, group in ratios.groupby("study", sort=False):
        shared = np.sqrt(covariance[group.index[0], group.index[1]]) if len(group) > 1 else np.nan
        rows.append({"study": study, "trt": group["reference"].iloc[0], "y": np.nan, "se": shared})
        effects = {"trt": group["treatment"], "y": group["log_hr"], "se": group["se"]}
        rows += records(pd.DataFrame(effects).assign(study=study))
    return pd.DataFrame(rows, columns=["study", "trt", "y", "se"])


def _survextrap(spec: Spec, evidence: Evidence) -> Written:
    """Write patients, the registry as external data, and the population's mortality."""
    patients = _patients(spec, evidence)
    patients = patients[patients["entry"] == 0]
    if patients.empty:
        return {}, []
    tables = {"trial.csv": patients.assign(event=patients["status"]).drop(columns=["status"])}
    lines = ["library(survextrap)", 'trial <- read.csv("trial.csv")']
    lines.append(f"trial$trt <- relevel(factor(trial$trt), ref = {_quoted(spec.treatments.reference)})")
    settings = ["Surv(time, event) ~ trt", "data = trial"]
    if len(evidence.registry):
        external = {"time": "stop", "alive": "r"}
        columns = ["treatment", "start", "time", "n", "alive"]
        tables["external.csv"] = evidence.registry[columns].rename(columns={**external, "treatment": "trt"})
        lines.append('external <- read.csv("external.csv")')
        settings.append("external = external")
    if len(evidence.background):
        tables["background.csv"] = evidence.background[["time", "hazard"]]
        lines.append('background <- read.csv("background.csv")')
        settings.append("backhaz = background")
    lines += [f"fit <- survextrap({', '.join(settings)})", f"rmst(fit, t = {spec.horizon:g})"]
    return tables, lines


def _metafor(spec: Spec, evidence: Evidence) -> Written:
    """Write hazard ratios, and a random-effects model of each pair of treatments."""
    ratios = evidence.hazard_ratios
    if ratios.empty:
        return {}, []
    table = ratios[["study", "treatment", "reference"]].assign(yi=ratios["log_hr"], sei=ratios["se"])
    lines = [
        "library(metafor)",
        'ratios <- read.csv("ratios.csv")',
        "for (pair in split(ratios, ratios[c('treatment', 'reference')], drop = TRUE)) {",
        '  print(predict(rma(yi, sei = sei, slab = study, data = pair, method = "REML"), transf = exp))',
        "}",
    ]
    return {"ratios.csv": table}, lines


def _survival(spec: Spec, evidence: Evidence) -> Written:
    """Write patients, their Kaplan-Meier curves and a Cox model within studies."""
    patients = _patients(spec, evidence)
    if patients.empty:
        return {}, []
    times = "entry, time, status" if (patients["entry"] > 0).any() else "time, status"
    weights = ", weights = weight" if "weight" in patients else ""
    lines = [
        "library(survival)",
        'patients <- read.csv("patients.csv")',
        f"patients$trt <- relevel(factor(patients$trt), ref = {_quoted(spec.treatments.reference)})",
        f"survfit(Surv({times}) ~ trt, data = patients{weights})",
        f"coxph(Surv({times}) ~ trt + strata(study), data = patients{weights})",
    ]
    return {"patients.csv": patients}, lines


PROGRAMS: Mapping[str, Callable[[Spec, Evidence], Written]] = {
    "multinma": _multinma,
    "survextrap": _survextrap,
    "metafor": _metafor,
    "survival": _survival,
}
"""How each program's tables and lines are written."""
TAKEN = {
    "multinma": ("patients", "hazard_ratios"),
    "survextrap": ("patients", "registry"),
    "metafor": ("hazard_ratios",),
    "survival": ("patients",),
}
"""Kinds of evidence that each program's files hold."""
