"""A synthetic world: truth, studies, patients, what is printed of them, and a spec that reads it.

One seed, one stream a stage: the same seed gives the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.digitizing.many import Asked, digitize_all, write_together
from bayes_bm.evidence.centres import at_zero
from bayes_bm.evidence.reading import read_evidence, select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.progress import each
from bayes_bm.runtime.spreadsheets import defuse
from bayes_bm.runtime.toml_text import check_plain, parse_toml
from bayes_bm.spec.biases import Biases
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import as_spec, parse_spec, read_spec, spec_toml
from bayes_bm.spec.sources import EVIDENCE_KINDS
from bayes_bm.validation.simulation import printing
from bayes_bm.validation.simulation.curves import clicked
from bayes_bm.validation.simulation.curves import drawn as drawn_curve
from bayes_bm.validation.simulation.curves import printed as printed_beside
from bayes_bm.validation.simulation.journal_figures import FILE_KINDS, FileKind, StudyFigure, labels_touch, random_style
from bayes_bm.validation.simulation.mixed_arms import printed_mix
from bayes_bm.validation.simulation.patients import arm_mix, covariates
from bayes_bm.validation.simulation.plan import MIX, SIZES, plan
from bayes_bm.validation.simulation.printing import Rows, StudiedArm
from bayes_bm.validation.simulation.studied import Mixes, mix_document, studied_arm
from bayes_bm.validation.simulation.truth import Recorded, Truth, draw_effects, draw_parameters
from bayes_bm.validation.simulation.wrong_worlds import Wrong, struck_study, wrong_world

Numbers = Literal["patients", "likelihood"]
Curves = Literal["drawn", "clicked", "figures"]
STAGES = ("plan", "parameters", "effects", "patients", "wrong", "printing", "curves", "patient", "prognosis", "mixes")


FIGURES, DIGITIZED = "figures", "digitized"
"""Folders of a world whose studies are figures: as drawn, and where its spec looks for what was read from them."""
WORLD_FILES = ("spec.toml", "truth.json", *(f"{kind}.csv" for kind in EVIDENCE_KINDS))
"""Names of the files that a world may have, beside those of its curves."""


@dataclass(frozen=True)
class World:
    """Hold a synthetic world: what is printed of it, a spec that reads that, and what is true.

    Attributes
    ----------
    spec : Spec
        The spec, whose evidence is the tables beside it.
    tables : mapping of str to pandas.DataFrame
        Contract tables by kind (arms, patients, points, medians, hazard_ratios, counts, prognostic_ratios, curves), in
        the spec's time unit.
    truth : mapping
        What is recorded, as plain data: seed, parameters, effects of studies, true answers. The answers are worked
        out when they are first asked for.
    files : mapping of str to pandas.DataFrame
        Further CSV files by name: curves and numbers at risk.
    figures : mapping of str to StudyFigure
        Figures by the name of their study, whose patients are in no table.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> world = bb.simulate(bb.read_spec("published_os_extent_of_resection"), seed=1, studies=4)
    >>> world.spec.name, sorted(world.evidence().treatments)
    ('published_os_extent_of_resection_simulated', ['gtr', 'str'])
    """

    spec: Spec
    tables: Mapping[str, pd.DataFrame]
    truth: Mapping[str, Any]
    files: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, StudyFigure] = field(default_factory=dict)

    def evidence(self) -> Evidence:
        """The evidence as read from files; figures are read, and patients of curves are rebuilt from them."""
        if self.files or self.figures:
            with TemporaryDirectory() as folder:
                drawn = [file for file in self.write(folder) if file.parent.name == FIGURES]
                together = Path(folder) / DIGITIZED
                asked = [
                    Asked(file, together / file.stem, endpoint=self.spec.endpoint, overlay=False) for file in drawn
                ]
                if asked:
                    saved = digitize_all(asked, cores=1)
                    refused = next((one.refusal for one in saved if one.refusal), None)
                    if refused is not None:
                        raise InputError("figures", found=refused, allowed="figures that bb.digitize reads")
                    write_together(saved, together)
                return read_evidence(read_spec(Path(folder) / "spec.toml"))
        checked = {kind: check_table(kind, table, where=kind) for kind, table in self.tables.items()}
        return select(self.spec, checked)

    def write(self, folder: str | Path) -> list[Path]:
        """spec.toml, truth.json, a CSV a table; all made before the first takes its name."""
        folder = Path(folder)
        tables = {f"{kind}.csv": table for kind, table in self.tables.items()} | dict(self.files)
        texts = {"spec.toml": spec_toml(self.spec), "truth.json": json.dumps(dict(self.truth), indent=1) + "\n"}
        drawn = [figure.draw(folder / FIGURES / study) for study, figure in each(self.figures.items())]
        with ExitStack() as stack:
            for name, table in tables.items():
                defuse(table).to_csv(stack.enter_context(atomic_write(folder / name)), index=False)
            for name, text in texts.items():
                stack.enter_context(atomic_write(folder / name)).write_text(text, encoding="utf-8")
        return [*(folder / name for name in (*texts, *tables)), *drawn]


def simulate(
    spec: Spec | str | Path,
    *,
    seed: int | None = None,
    studies: int = 14,
    mix: Mapping[str, float] | None = None,
    sizes: tuple[int, int] = SIZES,
    truth: Mapping[str, Any] | None = None,
    numbers: Numbers = "patients",
    wrong: str | None = None,
    curves: Curves | None = None,
    click_error: float = 0.003,
    clicks: int = 100,
    figure_files: Sequence[FileKind] = FILE_KINDS,
    prognosis_studies: int = 6,
    printed_covariates: float = 1.0,
) -> World:
    """Return a synthetic world of a spec's model: parameters from its priors, except those given by `truth`.

    Parameters
    ----------
    spec : Spec, str or Path
        The model, or its TOML file, or the name of a shipped model; its own evidence is not used.
    seed : int, optional
        By default the spec's; the same seed gives the same bytes.
    studies : int, default 14
        Number of studies.
    mix : mapping of str to float, optional
        Shares of studies that give patients, points, medians, hazard_ratios, counts; by default `plan.MIX`.
    sizes : pair of int, default (20, 80)
        Smallest and largest number of patients of an arm; sizes are log-uniform between.
    truth : mapping, optional
        Parameters by name that take the place of their draw: a number, or numbers by label.
    numbers : {"patients", "likelihood"}, default "patients"
        Printed numbers are worked out from simulated patients, or drawn from the likelihood of each row
        (docs/decisions.md, 5 to 8), as calibration needs.
    wrong : str, optional
        A wrong assumption by name (`wrong_worlds.WRONG`).
    curves : {"drawn", "clicked", "figures"}, optional
        Patients are given as the drawn curve, or as clicks on it, with n and numbers at risk; or as the figure of
        their study in the style of some journal (SVG, PDF or PNG), which `bayes_bm.digitize` reads.
    click_error : float, default 0.003
        Standard deviation of a click, as a share of each axis.
    clicks : int, default 100
        Number of clicks on each curve.
    figure_files : sequence of {"svg", "pdf", "png"}, optional
        Kinds of file among which each figure's is drawn; all by default.
    prognosis_studies : int, default 6
        Number of studies that print adjusted ratios of every covariate, where the spec has [prognosis]; every second
        one is of another setting where it has `transport_sd`.
    printed_covariates : float, default 1
        Probability that an arm known from printed numbers prints each covariate, where the spec has case_mix.

    Returns
    -------
    World
        Tables, spec and truth; `write` stores them in a folder.

    Raises
    ------
    InputError
        For a name, share, size or parameter that is not allowed, and for a spec with biases, causes, a background or a
        flexible baseline of each study: such worlds are not built.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> world = bb.simulate("published_os_extent_of_resection", seed=1, studies=4, truth={"log_hr": {"gtr": -0.5}})
    >>> world.truth["parameters"]["log_hr"]
    {'gtr': -0.5}
    """
    # the truth is about patients at the centres, whatever the simulated ones have on average
    spec = at_zero(as_spec(spec))
    seed = spec.seed if seed is None else seed
    streams = dict(zip(STAGES, np.random.SeedSequence(seed).spawn(len(STAGES)), strict=True))
    rng = {name: np.random.default_rng(stream) for name, stream in streams.items()}
    _check_call(spec, numbers, wrong, curves)
    if not 0 <= printed_covariates <= 1:
        raise InputError("printed_covariates", found=printed_covariates, allowed="0 to 1, a probability")
    error = None if wrong is None else wrong_world(wrong)
    arms = plan(spec, rng["plan"], studies=studies, mix=MIX if mix is None else mix, sizes=sizes)
    if numbers == "likelihood":
        arms = [replace(arm, n=printing.whole_share(spec, arm.n)) for arm in arms]
    parameters = draw_parameters(spec, seed=streams["parameters"], given=truth)
    true = draw_effects(parameters, spec, [(arm.study, arm.treatment) for arm in arms], rng["effects"])
    if error is not None and error.truth is not None:
        true = error.truth(true, rng["wrong"])
    mixes = {arm.key: arm_mix(true, arm.treatment, rng["mixes"]) for arm in arms} if spec.case_mixes else {}
    printed_mixes = None
    if mixes and numbers == "likelihood":
        chance, stream = printed_covariates, rng["mixes"]
        printed_mixes = {arm.key: printed_mix(spec, arm, mixes[arm.key], chance, stream) for arm in arms}
        mixes = {key: dict(mix.laws) for key, mix in printed_mixes.items()}
    studied = [studied_arm(true, spec, arm, 0.0, rng["patients"], mixes.get(arm.key)) for arm in arms]
    if error is not None and error.patients is not None:
        again = partial(_redrawn, true, spec, rng["wrong"], mixes)
        studied = error.patients(spec, studied, rng["wrong"], again)
    if numbers == "likelihood":
        rows = printing.drawn(spec, true, studied, rng["printing"], printed_mixes)
    else:
        rows = printing.printed(spec, studied)
        if spec.case_mixes:
            rows["arms"] = printing.some_covariates(spec, rows["arms"], printed_covariates, rng["mixes"])
    rows |= printing.prognostic_ratios(spec, true, prognosis_studies, sizes, rng["prognosis"])
    struck = _struck(error, studied, rows)
    if error is not None and error.rows is not None:
        rows = error.rows(spec, studied, rows)
    tables, files, figures = _tables(rows), {}, {}
    if curves == "figures":
        tables, figures = _as_figures(spec, tables, np.random.default_rng(streams["curves"]), figure_files)
    elif curves is not None:
        tables, files = _as_curves(spec, tables, curves, clicks=clicks, error=click_error, seed=streams["curves"])
    one = covariates(spec, rng["patient"], 1).iloc[0].to_dict() if spec.covariates else {}
    patient = {str(name): float(value) for name, value in one.items()}
    known = {
        "seed": seed,
        "model": spec.name,
        "numbers": numbers,
        "wrong": wrong,
        "wrong_text": "" if error is None else error.text,
        "struck": struck,
        **true.document(),
        **({"case_mix": mix_document(mixes)} if mixes else {}),
        "patient": patient,
    }
    curves_at = f"{DIGITIZED}/curves.csv" if figures else None
    recorded = Recorded(known, true, patient)
    return World(_spec_of(spec, tables, seed, curves_at), tables, recorded, files, figures)


def _check_call(spec: Spec, numbers: str, wrong: str | None, curves: str | None) -> None:
    if numbers not in ("patients", "likelihood"):
        raise InputError("numbers", found=numbers, allowed="patients, likelihood")
    if curves not in (None, "drawn", "clicked", "figures"):
        raise InputError("curves", found=curves, allowed="drawn, clicked, figures")
    if numbers == "likelihood" and wrong is not None:
        raise InputError("wrong", found=f"{wrong} with numbers = likelihood", allowed="numbers = patients")
    unsupported = [f"bias.{name}" for name in spec.bias.named(Biases.model_fields)]
    unsupported += [f"meta_regression.{name}" for name in spec.meta_regression]
    unsupported += [f"cause = {spec.cause}"] if spec.cause is not None else []
    if unsupported:
        raise InputError(
            "spec",
            found=unsupported[0],
            allowed="a spec without biases and causes",
            hint="such worlds are not built",
        )
    if spec.hazard.flexible and spec.effects.study_shape is not None:
        raise InputError("effects.study_shape", found="a baseline of each study", hint="such worlds are not built")
    if spec.evidence.background is not None:
        raise InputError("evidence.background", found="background mortality", hint="such worlds are not built")


def _redrawn(
    true: Truth, spec: Spec, rng: np.random.Generator, mixes: Mixes, arm: StudiedArm, survived: float
) -> StudiedArm:
    return studied_arm(true, spec, arm.plan, survived, rng, mixes.get(arm.plan.key))


def _struck(error: Wrong | None, studied: list[StudiedArm], rows: Rows) -> list[str]:
    """Studies that a wrong world strikes alone; empty where it strikes all of them."""
    study = None if error is None else struck_study(error.name, studied, rows)
    return [] if study is None else [study]


def _tables(rows: Rows) -> dict[str, pd.DataFrame]:
    order = ("arms", "patients", "points", "medians", "hazard_ratios", "counts", "prognostic_ratios")
    return {kind: pd.DataFrame(rows[kind]) for kind in order if rows.get(kind)}


# ---------------------------------------------------------------------------------------------- curves, spec


def _as_curves(
    spec: Spec,
    tables: Mapping[str, pd.DataFrame],
    kind_of_curve: Curves,
    *,
    clicks: int,
    error: float,
    seed: np.random.SeedSequence,
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Patients as curves: a row of curves.csv an arm, its curve and its numbers at risk as files."""
    if "patients" not in tables:
        raise InputError("curves", found="no study with patients", allowed="a mix with patients")
    remaining = {kind: table for kind, table in tables.items() if kind != "patients"}
    files: dict[str, pd.DataFrame] = {}
    rows = []
    groups = list(tables["patients"].groupby(["study", "arm"], sort=True))
    for ((study, arm), patients), stream in zip(groups, seed.spawn(len(groups)), strict=True):
        time, event = patients["time"].to_numpy(), patients["event"].to_numpy()
        printed_numbers = printed_beside(time, event)
        axis = printed_numbers["axis_max"]
        if kind_of_curve == "drawn":
            curve = drawn_curve(time, event, axis, rounded=True)
        else:
            curve = clicked(time, event, axis, int(stream.generate_state(1)[0]), clicks=clicks, error=error)
        stem = f"{study} {arm}".replace(" ", "_")
        files |= {f"curve_{stem}.csv": curve, f"at_risk_{stem}.csv": printed_numbers["at_risk"]}
        named = {"study": study, "arm": arm, "treatment": patients["treatment"].iloc[0], "endpoint": spec.endpoint}
        paths = {"curve": f"curve_{stem}.csv", "at_risk": f"at_risk_{stem}.csv"}
        rows.append(
            {**named, **paths, "n": printed_numbers["n"], "events": printed_numbers["events"], "axis_max": axis}
        )
    arms = remaining["arms"]
    if spec.covariates:
        # a curve knows no patient's covariates: its arm states them, and is averaged over them
        stated = [_stated_row(spec, tables["patients"], row) for row in arms.to_dict("records")]
        remaining["arms"] = pd.DataFrame(stated)
    return {**remaining, "curves": pd.DataFrame(rows)}, files


def _as_figures(
    spec: Spec, tables: Mapping[str, pd.DataFrame], rng: np.random.Generator, files: Sequence[FileKind]
) -> tuple[dict[str, pd.DataFrame], dict[str, StudyFigure]]:
    """Patients as one figure a study, with a legend that names every arm and numbers at risk below."""
    if "patients" not in tables:
        raise InputError("curves", found="no study with patients", allowed="a mix with patients")
    if not files or not set(files) <= set(FILE_KINDS):
        raise InputError("figure_files", found=", ".join(files) or "nothing", allowed=", ".join(FILE_KINDS))
    remaining = {kind: table for kind, table in tables.items() if kind != "patients"}
    figures = {}
    for study, patients in tables["patients"].groupby("study", sort=True):
        arms = {
            str(arm): (rows["time"].to_numpy(), rows["event"].to_numpy())
            for arm, rows in patients.groupby("arm", sort=True)
        }
        style = random_style(rng, len(arms), file=files[int(rng.integers(len(files)))])
        # a paper says how many patients an arm had; here the table does
        unclear = style.legend == "none" or (style.legend == "direct" and labels_touch(arms, style))
        style = replace(style, table=True, legend="inside" if unclear else style.legend)
        figures[str(study)] = StudyFigure(arms, style, spec.time_unit)
    if spec.covariates:
        stated = [_stated_row(spec, tables["patients"], row) for row in remaining["arms"].to_dict("records")]
        remaining["arms"] = pd.DataFrame(stated)
    return remaining, figures


def _stated_row(spec: Spec, patients: pd.DataFrame, row: Mapping[Any, Any]) -> dict[str, Any]:
    arm_patients = patients[(patients["study"] == row["study"]) & (patients["arm"] == row["arm"])]
    cells = {str(name): value for name, value in row.items()}
    return cells | (printing.stated(spec, arm_patients) if len(arm_patients) else {})


def _spec_of(spec: Spec, tables: Mapping[str, pd.DataFrame], seed: int, curves: str | None = None) -> Spec:
    """The spec with the world's tables as its evidence; analyses that choose evidence are left out, it has none."""
    document = spec.document()
    kept = {name: document["evidence"][name] for name in ("effective_share", "icc") if name in document["evidence"]}
    named = {
        name: patch
        for name, patch in document.get("sensitivity", {}).items()
        if not any(key.startswith(("evidence", "external_checks")) for key in patch)
    }
    changed = {
        **document,
        "name": f"{spec.name}_simulated",
        "question": f"A simulated world: {spec.question}",
        "seed": seed,
        "evidence": {
            **{kind: [f"{kind}.csv"] for kind in tables},
            **({"curves": [curves]} if curves else {}),
            **kept,
        },
        "sensitivity": named,
        "sensitivity_words": {name: words for name, words in spec.sensitivity_words.items() if name in named},
        "external_checks": [],
        "cannot_say": ["Anything about patients: these studies were simulated, and truth.json holds what is true."],
    }
    return parse_spec(changed, where="simulated spec")


def read_truth(path: str | Path) -> dict[str, Any]:
    """Parameters from a TOML or JSON file, or those of a world's truth.json."""
    file, allowed = Path(path), "a TOML or JSON file of parameters by name"
    if not file.is_file():
        raise InputError(str(path), found="a folder" if file.is_dir() else "no such file", allowed=allowed)
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else parse_toml(text, str(path))
    except (ValueError, RecursionError, OSError) as problem:
        raise InputError(str(path), found=f"not valid TOML or JSON ({problem})", allowed=allowed) from None
    if not isinstance(content, dict):
        raise InputError(str(path), found=type(content).__name__, allowed="parameters by name")
    check_plain(content, str(path))
    return content.get("parameters", content)


class StoredWorld(NamedTuple):
    """Spec, evidence and recorded truth of a world, read from its folder."""

    spec: Spec
    evidence: Evidence
    truth: dict[str, Any]


def read_world(folder: str | Path) -> StoredWorld:
    """Return spec, evidence and recorded truth of a written world.

    Parameters
    ----------
    folder : str or Path
        Where `World.write` stored it.

    Returns
    -------
    StoredWorld
        `spec`, `evidence` and `truth`, in this order.

    Raises
    ------
    InputError
        For a spec or tables that are missing or wrong.

    Examples
    --------
    >>> import tempfile
    >>> import bayes_bm as bb
    >>> world = bb.simulate(bb.read_spec("published_os_extent_of_resection"), seed=1, studies=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = world.write(folder)
    ...     spec, evidence, truth = bb.read_world(folder)
    >>> truth == world.truth
    True
    """
    spec = read_spec(Path(folder) / "spec.toml")
    truth = json.loads((Path(folder) / "truth.json").read_text(encoding="utf-8"))
    return StoredWorld(spec, read_evidence(spec), truth)
