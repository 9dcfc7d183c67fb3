"""BARG and PRISMA-NMA, item by item, filled from a result; what only the authors know stays blank.

Kruschke 2021, Bayesian analysis reporting guidelines (doi 10.1038/s41562-021-01177-7); Hutton et al. 2015, the PRISMA
extension for network meta-analyses (doi 10.7326/M14-2385). Items are named, in our words; the guidelines say what each
asks for. A filled item says what the analysis did, not that it was enough.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd

from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.findings import behind
from bayes_bm.estimands.labels import prior_draws
from bayes_bm.estimands.who import AverageStudy
from bayes_bm.evidence.network import parts_of, side_by_side
from bayes_bm.inference.result import Result
from bayes_bm.spec.priors import describe

COLUMNS = ("guideline", "item", "topic", "says")


def checklist(result: Result) -> pd.DataFrame:
    """Return every item of both guidelines with what the result says of it.

    Parameters
    ----------
    result : Result
        A fit; with a failed gate the item of convergence says so.

    Returns
    -------
    pandas.DataFrame
        Columns guideline (BARG or PRISMA-NMA), item, topic, says; `says` is empty where only the authors know.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> table = bb.checklist(prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200))
    >>> table.set_index("item").loc["4", "topic"], len(table)
    ('objectives', 48)
    """
    rows = [
        {"guideline": guideline, "item": item, "topic": topic, "says": says(result) if says else ""}
        for guideline, items in GUIDELINES.items()
        for item, topic, says in items
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _data(result: Result) -> str:
    evidence = result.evidence
    counts = {
        "studies": len({*evidence.arms["study"], *evidence.hazard_ratios["study"]}),
        "arms": len(evidence.arms),
        "listed or rebuilt patients": len(evidence.patients),
        "points of survival": len(evidence.sequences),
        "medians": len(evidence.medians),
        "hazard ratios": len(evidence.hazard_ratios),
        "counts": len(evidence.counts),
        "prognostic ratios": len(evidence.prognostic_ratios),
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{result.spec.endpoint}, in {result.spec.time_unit}: {told}; {len(evidence.set_aside)} rows set aside"


def _likelihood(result: Result) -> str:
    spec = result.spec
    effects = [name for name in type(spec.effects).model_fields if getattr(spec.effects, name) is not None]
    law = f"{spec.hazard.family} hazards{', cured share' if spec.hazard.cure else ''}"
    return f"{law}; effects that differ: {', '.join(effects) or 'none'}; laws of printed numbers: docs/method.md"


def _parameters(result: Result) -> str:
    return ", ".join(label for label, _, _ in prior_draws(result))


def _priors(result: Result) -> str:
    return "; ".join(f"{label}: {describe(prior)} ({prior.why})" for label, prior, _ in prior_draws(result))


def _software(result: Result) -> str:
    told = result.provenance
    versions = ", ".join(f"{name} {version}" for name, version in told.get("versions", {}).items())
    return f"{versions}; sampler {told.get('sampler', 'unknown')}"


def _convergence(result: Result) -> str:
    gate = result.gate
    if not gate.rows:
        return f"gate {gate.state}; {gate.draws} draws"
    worst = max(row["rhat"] for row in gate.rows)
    return f"gate {gate.state}: largest rank R-hat {worst:.4f}, {gate.divergences} divergences of {gate.draws} draws"


def _resolution(result: Result) -> str:
    rows = result.gate.rows
    if not rows:
        return ""
    least = {kind: min(row[f"ess_{kind}"] for row in rows) for kind in ("bulk", "tail")}
    return f"least effective sample size: {least['bulk']:.0f} of the middle, {least['tail']:.0f} of the tails"


def _summary(result: Result) -> str:
    spec = result.spec
    if spec.needs_baseline:
        return "study levels are free: ratios alone (bayes-bm compare)"
    table = compare(result, who=AverageStudy())
    rows = table[table["estimand"].isin(["log_hazard_ratio", "log_time_ratio"])]
    said = [
        f"{row['treatment']} against {row['reference']}: {row['estimand'].replace('_', ' ')} {row['median']:.2f}"
        f" (95 % {row['q2_5']:.2f} to {row['q97_5']:.2f})"
        for row in rows.drop_duplicates(["treatment", "reference"]).to_dict("records")
    ]
    return "; ".join(said)


def _sensitivity(result: Result) -> str:
    names = ", ".join(result.spec.sensitivity)
    return f"named analyses of the spec: {names}; bayes-bm sensitivity" if names else ""


def _reproducible(result: Result) -> str:
    told = result.provenance
    return (
        f"seed {told.get('seed', result.spec.seed)}, spec {result.spec.digest()[:12]}, evidence"
        f" {result.evidence.digest()[:12]}; both are stored in the result, bayes-bm rerun fits it again"
    )


def _question(result: Result) -> str:
    return result.spec.question


def _measures(result: Result) -> str:
    times = ", ".join(f"{time:g}" for time in result.spec.answer_times)
    return f"ratios, survival at {times} {result.spec.time_unit}, restricted means to {result.spec.horizon:g}"


def _network(result: Result) -> str:
    pairs = side_by_side(result.spec, result.evidence)
    told = "; ".join(f"{one} and {other}: {len(studies)} studies" for (one, other), studies in pairs.items())
    parts = len(parts_of(result.spec, result.evidence))
    return f"{len(result.spec.treatments.names)} treatments, {parts} connected parts; side by side: {told or 'none'}"


def _inconsistency(result: Result) -> str:
    return "within studies against across them (report); node-splitting and unrelated mean effects: bayes-bm split"


def _selection(result: Result) -> str:
    aside = result.evidence.set_aside
    reasons = aside["reason"].value_counts().head(5)
    told = "; ".join(f"{count} x {reason}" for reason, count in reasons.items())
    return f"{len(result.evidence.arms)} arms in use; rows set aside: {told or 'none'}; how they were sought: authors"


def _characteristics(result: Result) -> str:
    spec = result.spec
    rows = ((name, behind(result, name, spec.treatments.reference)) for name in spec.treatments.compare)
    return "; ".join(f"{name}: {row['studies']} studies, {row['basis']}" for name, row in rows)


def _risk_of_bias(result: Result) -> str:
    spec = result.spec
    told = {behind(result, name, spec.treatments.reference)["risk_of_bias"] for name in spec.treatments.compare}
    return "; ".join(sorted(filter(None, told)))


def _biases(result: Result) -> str:
    names = ", ".join(result.spec.modelled_biases)
    return f"terms of the model: {names}" if names else ""


def _limits(result: Result) -> str:
    return " ".join(result.spec.cannot_say)


Says = Callable[[Result], str] | None
Items = tuple[tuple[str, str, Says], ...]
BARG: Items = (
    ("0A", "why a Bayesian analysis", None),
    ("0B", "goals of the analysis", _question),
    ("1A", "data: dependent variables and predictors", _data),
    ("1B", "likelihood", _likelihood),
    ("1C", "parameters", _parameters),
    ("1D", "priors and their reasons", _priors),
    ("2A", "software", _software),
    ("2B", "convergence of chains", _convergence),
    ("2C", "resolution of chains", _resolution),
    ("3A", "posterior predictive check", lambda result: "printed against predicted, row by row: bayes-bm check"),
    ("3B", "posterior of parameters and answers", _summary),
    ("3C", "Bayes factors", lambda result: "none were used"),
    ("4A", "decisions, and why", None),
    ("4B", "limits of practical equivalence, or losses", None),
    ("5A", "sensitivity to priors", _sensitivity),
    ("6", "reproducibility: seed, data, script", _reproducible),
)
PRISMA: Items = (
    ("1", "title", None),
    ("2", "structured summary", None),
    ("3", "rationale", None),
    ("4", "objectives", _question),
    ("5", "protocol and registration", None),
    ("6", "eligibility criteria", None),
    ("7", "information sources", None),
    ("8", "search", None),
    ("9", "selection of studies", None),
    ("10", "collection of data", None),
    ("11", "data items", _data),
    ("S1", "geometry of the network: methods", _network),
    ("12", "risk of bias of studies: methods", None),
    ("13", "summary measures", _measures),
    ("14", "planned analysis", _likelihood),
    ("S2", "inconsistency: methods", _inconsistency),
    ("15", "risk of bias across studies: methods", _biases),
    ("16", "additional analyses", _sensitivity),
    ("17", "selection of studies: results", _selection),
    ("S3", "structure of the network", _network),
    ("S4", "geometry of the network: results", _network),
    ("18", "characteristics of studies", _characteristics),
    ("19", "risk of bias within studies", _risk_of_bias),
    ("20", "results of single studies", lambda result: "study arms and reconciliation, in the report"),
    ("21", "synthesis", _summary),
    ("S5", "inconsistency: results", None),
    ("22", "risk of bias across studies: results", None),
    ("23", "additional analyses: results", None),
    ("24", "summary of evidence", None),
    ("25", "limitations", _limits),
    ("26", "conclusions", None),
    ("27", "funding", None),
)
GUIDELINES: dict[str, Items] = {"BARG": BARG, "PRISMA-NMA": PRISMA}


def checklist_text(table: pd.DataFrame) -> str:
    """Return the checklist as Markdown, a table a guideline, blanks to be filled by hand."""
    lines: list[Any] = []
    for guideline, rows in table.groupby("guideline", sort=False):
        lines += [f"## {guideline}", "", "| item | topic | reported |", "|---|---|---|"]
        cells = rows[["item", "topic", "says"]].astype(str)
        lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in cells.to_numpy().tolist()]
        lines.append("")
    return "\n".join(lines)
