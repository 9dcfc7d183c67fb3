"""Multiple imputation (docs/decisions.md#19-multiple-imputation): what is drawn, how fits are told apart, and variances
against direct calculation.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytensor
import pytest
import xarray as xr

import bayes_bm as bb
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.cli.app import main
from bayes_bm.estimands.imputation_variance import imputation_summary
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference import graph_samplers, samplers
from bayes_bm.inference.fit import fit
from bayes_bm.inference.gate import Gate, convergence_gate
from bayes_bm.inference.imputations import imputed, joint_gate, mean_width, variance_parts
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import Result, load
from bayes_bm.model.model_inputs import prepare
from bayes_bm.reconstruction.clicked import solve
from bayes_bm.runtime.errors import BayesBmError, GateRefused, InputError
from bayes_bm.spec.document import Spec
from tests.builders import graphs, posteriors, trials, worlds
from tests.builders.short_chains import SHORT, fit_of_short_chains

M = 20
WEEKS = 7 / (365.25 / 12)
TWO = {"reference": "a", "compare": ["b"]}

# ------------------------------------------------------------------------------------------------ a world of curves


def arm_of(seed: int, n: int, *, exact: bool = False) -> tuple[dict[str, Any], pd.DataFrame]:
    """What `reconstruct` is given of a simulated arm: everything, or a careless click every month; and who it was."""
    time, event = trials.trial(seed, n)
    shown = trials.printed(time, event)
    who = pd.DataFrame({"time": time, "event": event}).sort_values("time", ignore_index=True)
    if exact:
        return {**shown, "curve": trials.drawn(time, event, shown["axis_max"])}, who
    curve = trials.clicked(time, event, shown["axis_max"], seed, clicks=25, error=0.03)
    return {"curve": curve, "n": n, "axis_max": shown["axis_max"]}, who


def registered(folder: Path, arms: dict[tuple[str, str, str], dict[str, Any]], **more: Any) -> Path:
    """curves.csv and the files it names; `more` are columns by (study, arm)."""
    folder.mkdir(exist_ok=True)
    rows = []
    for (study, arm, treatment), printed in arms.items():
        row: dict[str, Any] = {"study": study, "arm": arm, "treatment": treatment, "endpoint": "os"}
        for name, value in printed.items():
            if isinstance(value, pd.DataFrame):
                value.to_csv(folder / f"{study}_{arm}_{name}.csv", index=False)
                value = f"{study}_{arm}_{name}.csv"
            row[name] = value
        rows.append({**row, **{name: values.get((study, arm)) for name, values in more.items()}})
    pd.DataFrame(rows).to_csv(folder / "curves.csv", index=False)
    return folder


CURVES = {("s", "x", "a"): arm_of(1, 40)[0], ("s", "y", "b"): arm_of(2, 40)[0], ("t", "x", "b"): arm_of(2, 40)[0]}
# a true patients table beside them, a median, and an arm whose clock started two months earlier
PATIENTS = [{"study": "p", "arm": "x", "treatment": "a", "time": float(at), "event": at % 2} for at in range(1, 13)]
ARMS = [
    {"study": "m", "arm": "x", "treatment": "a", "endpoint": "os", "n": 30},
    {"study": "t", "arm": "x", "treatment": "b", "endpoint": "os", "n": 40, "clock_shift": 2.0},
]
MEDIANS = [{"study": "m", "arm": "x", "endpoint": "os", "median": 9.0}]


def read(folder: Path, **changes: Any) -> tuple[Spec, Evidence]:
    files = {"curves": "curves.csv", "patients": "patients.csv", "arms": "arms.csv", "medians": "medians.csv"}
    there = {kind: name for kind, name in files.items() if (folder / name).is_file()}
    spec = worlds.spec(**{"treatments": TWO, "evidence": there, **changes}).model_copy(update={"folder": str(folder)})
    return spec, bb.read_evidence(spec)


@pytest.fixture(autouse=True)
def short_chains(request, monkeypatch) -> None:
    """Chains behind draws a tenth as long, but for what draws are worth: all else does not know how long they took."""
    if "careless" not in request.fixturenames:
        monkeypatch.setattr(solve, "ALONE", SHORT)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> tuple[Spec, Evidence]:
    """Three arms from curves (one of them in weeks), one of true patients, one median."""
    folder = registered(tmp_path_factory.mktemp("mixed"), CURVES, time_unit={("s", "y"): "weeks"})
    for name, rows in {"patients": PATIENTS, "arms": ARMS, "medians": MEDIANS}.items():
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    return read(folder)


DRAWN: dict[tuple[int, int, int], tuple[Evidence, list[Evidence]]] = {}
"""By identity of an evidence, number of sets and seed; the evidence is kept, so that no other has its identity."""


def drawn_once(evidence: Evidence, m: int, *, seed: int) -> list[Evidence]:
    """`imputed`, whose Markov chains take seconds, worked out once for all tests of the same evidence."""
    key = id(evidence), m, seed
    if key not in DRAWN:
        DRAWN[key] = evidence, imputed(evidence, m, seed=seed)
    return DRAWN[key][1]


def times(evidence: Evidence, study: str, arm: str) -> np.ndarray:
    rows = evidence.patients
    return rows.loc[(rows["study"] == study) & (rows["arm"] == arm), "time"].to_numpy()


# ------------------------------------------------------------------------------------------------ what is drawn


@pytest.mark.slow
def test_only_arms_from_curves_change_and_all_else_is_the_same(mixed) -> None:
    _, evidence = mixed
    sets = drawn_once(evidence, M, seed=3)
    assert len(sets) == M
    assert [arm.key for arm in evidence.rebuilt] == [("s", "x"), ("s", "y"), ("t", "x")]
    known = evidence.patients["study"] == "p"
    for of in sets:
        pd.testing.assert_frame_equal(of.patients[known], evidence.patients[known])
        pd.testing.assert_frame_equal(
            of.patients.drop(columns=["time", "event"]), evidence.patients.drop(columns=["time", "event"])
        )
        assert of.patients.dtypes.equals(evidence.patients.dtypes)
        for name, table in evidence.tables().items():
            if name != "patients":
                pd.testing.assert_frame_equal(of.tables()[name], table)
    for study, arm in (("s", "x"), ("s", "y"), ("t", "x")):
        assert len({times(of, study, arm).tobytes() for of in sets}) == M


@pytest.mark.slow
def test_draws_are_those_of_the_curve_in_the_specs_unit_and_on_the_models_clock(mixed) -> None:
    """Weeks become months once; the clock shift of `t` is added; the same curve in two arms is drawn independently."""
    _, evidence = mixed
    sets = drawn_once(evidence, M, seed=3)
    for arm, factor, shift in zip(evidence.rebuilt, (1.0, WEEKS, 1.0), (0.0, 0.0, 2.0), strict=True):
        printed = CURVES[next(key for key in CURVES if key[:2] == arm.key)]
        rec = bb.reconstruct(**printed)
        own = [np.sort(drawn["time"]) * factor + shift for drawn in rec.draw(M, seed=_seed_of(3, *arm.key))]
        for of, expected in zip(sets, own, strict=True):
            np.testing.assert_allclose(times(of, *arm.key), expected, rtol=1e-12)
        spread = np.std([times(of, *arm.key).mean() for of in sets])
        assert 0 < spread < 3 * factor
    same = [np.allclose(times(of, "s", "y") / WEEKS, times(of, "t", "x") - 2.0) for of in sets]
    assert not any(same)


def _seed_of(seed: int, study: str, arm: str) -> int:
    """The recipe of `arm_seed`, written out: it is part of what a result can be made again from."""
    from hashlib import sha256

    return int(sha256(json.dumps([seed, study, arm]).encode()).hexdigest()[:16], 16)


@pytest.mark.slow
def test_neither_the_order_nor_the_number_of_arms_or_sets_matters(tmp_path) -> None:
    _, forward = read(registered(tmp_path / "forward", CURVES))
    _, backward = read(registered(tmp_path / "backward", dict(reversed(CURVES.items()))))
    _, fewer = read(registered(tmp_path / "fewer", {key: CURVES[key] for key in list(CURVES)[1:]}))
    one, other, less = (imputed(of, 5, seed=5) for of in (forward, backward, fewer))
    more = imputed(forward, 7, seed=5)
    for a, b, c, d in zip(one, other, less, more[:5], strict=True):
        pd.testing.assert_frame_equal(a.patients, b.patients)
        pd.testing.assert_frame_equal(a.patients, d.patients)
        np.testing.assert_array_equal(times(a, "s", "y"), times(c, "s", "y"))
    assert not np.allclose(times(one[0], "s", "x"), times(imputed(forward, 1, seed=6)[0], "s", "x"))


@pytest.mark.slow
def test_a_curve_that_leaves_nothing_open_gives_the_same_patients_every_time(tmp_path) -> None:
    printed, who = arm_of(3, 30, exact=True)
    _, evidence = read(registered(tmp_path, {("s", "x", "a"): printed, ("s", "y", "b"): printed}))
    sets = imputed(evidence, M, seed=1)
    for of in sets:
        np.testing.assert_allclose(times(of, "s", "x"), who["time"], rtol=1e-6)
        np.testing.assert_allclose(of.patients["time"], sets[0].patients["time"], rtol=1e-9)


def test_what_cannot_be_meant_is_refused(mixed) -> None:
    spec, evidence = mixed
    with pytest.raises(InputError, match=r"imputations: found 5; allowed: 20 or more, or 1 .* 71% here"):
        fit(spec, evidence, imputations=5)
    with pytest.raises(InputError, match="imputations: found 0"):
        fit(spec, evidence, imputations=0)
    alone = worlds.spec()
    with pytest.raises(InputError, match="no arm in use whose patients were rebuilt from a curve"):
        fit(alone, worlds.evidence(alone), imputations=M)


@pytest.mark.slow
def test_a_curve_set_aside_is_not_drawn(tmp_path) -> None:
    folder = registered(tmp_path, CURVES, use={("s", "x"): "use", ("s", "y"): "use", ("t", "x"): "duplicate"})
    files = {"curves": "curves.csv", "include": {"use": ["use"]}}
    spec = worlds.spec(treatments=TWO, evidence=files).model_copy(update={"folder": str(folder)})
    assert [arm.key for arm in bb.read_evidence(spec).rebuilt] == [("s", "x"), ("s", "y")]


@pytest.mark.slow
def test_a_patient_drawn_before_entry_is_refused_by_name(mixed) -> None:
    _, evidence = mixed
    late = evidence.patients.assign(entry=np.where(evidence.patients["study"] == "t", 2.5, 0.0))
    with pytest.raises(
        InputError,
        match=r"imputations, study t, arm x: found a plausible patient seen until 2[.0-9]*, not after entry 2\.5",
    ):
        imputed(replace(evidence, patients=late), M, seed=3)


# ------------------------------------------------------------------------------------------------ variances


def test_variances_are_those_of_the_stacked_draws() -> None:
    """Rubin's W, B and T by loops over the draws; M = 20, two chains of 300."""
    rng = np.random.default_rng(1)
    draws = rng.normal(rng.normal(2.0, 0.5, M)[:, None, None], 1.5, (M, 2, 300))
    found = variance_parts(draws)
    means = [one.mean() for one in draws]
    within = sum(((one - mean) ** 2).sum() / 599 for one, mean in zip(draws, means, strict=True)) / M
    between = sum((mean - sum(means) / M) ** 2 for mean in means) / (M - 1)
    assert found["within"] == pytest.approx(within, rel=1e-12)
    assert found["between"] == pytest.approx(between, rel=1e-12)
    assert found["total"] == pytest.approx(within + 1.05 * between, rel=1e-12)
    assert found["share"] == pytest.approx(1.05 * between / (within + 1.05 * between), rel=1e-12)
    assert found["mean"] == pytest.approx(draws.mean())
    assert found["mcse"] == pytest.approx((between / M) ** 0.5, rel=1e-12)
    assert 1 + found["wider"] == pytest.approx((found["total"] / within) ** 0.5, rel=1e-12)
    assert found["width"] == pytest.approx(found["width_within"] * (1 + found["wider"]), rel=1e-12)
    assert found["width_within"] == pytest.approx(2 * 1.96 * 1.5, rel=0.02)
    # the mixture's own interval has M - 1 over M of B, not M + 1
    assert found["q97_5"] - found["q2_5"] == pytest.approx(2 * 1.96 * (1.5**2 + 0.95 * between) ** 0.5, rel=0.03)


def test_an_interval_of_few_draws_is_not_drawn_in() -> None:
    """Mean width of 2,000 normal intervals of 500 draws is 3.92; numpy's usual quantile gives 3.885."""
    draws = np.random.default_rng(2).standard_normal((2000, 1, 500))
    flat = np.quantile(draws.reshape(2000, -1), [0.025, 0.975], axis=1)
    assert np.diff(flat, axis=0).mean() == pytest.approx(3.885, abs=0.01)
    assert mean_width(draws.reshape(2000, -1)) == pytest.approx(3.92, abs=0.015)


def test_the_error_of_a_mean_never_falls_below_that_of_its_chains() -> None:
    """Equal posteriors: B is Monte Carlo noise alone, by chance small; the error is then sd / sqrt(all draws)."""
    draws = np.random.default_rng(3).standard_normal((M, 2, 400))
    draws -= draws.mean(axis=(1, 2), keepdims=True)
    found = variance_parts(draws)
    assert found["between"] == pytest.approx(0.0, abs=1e-20)
    assert found["mcse"] == pytest.approx(1 / (M * 800) ** 0.5, rel=0.1)


@pytest.mark.slow
def test_variance_of_a_rate_is_that_of_its_gamma_posteriors(mixed) -> None:
    """Exponential survival: with d deaths in T months the rate is Gamma(d + 1, T + 1), so W and B are known in full.

    2,000 draws of each of 20: W to 4 sd of its Monte Carlo error, B within what chain noise adds to it.
    """
    _, evidence = mixed
    rng, posterior = np.random.default_rng(4), []
    for of in drawn_once(evidence, M, seed=3):
        rows = of.patients[of.patients["study"] == "s"]
        posterior.append((rows["event"].sum() + 1, rows["time"].sum() + 1))
    shape, rate = np.array(posterior, dtype=float).T
    found = variance_parts(rng.gamma(shape, 1 / rate, (2, 1000, M)).transpose(2, 0, 1))
    within, between = (shape / rate**2).mean(), (shape / rate).var(ddof=1)
    noise = within / 2000
    assert between > 10 * noise
    assert found["within"] == pytest.approx(within, rel=4 * (2 / (2000 * M)) ** 0.5)
    assert found["between"] == pytest.approx(
        between + noise, abs=4 * 2 * (between * noise / (M - 1)) ** 0.5 + 2 * noise
    )


# ------------------------------------------------------------------------------------------------ fits told apart


class Scripted:
    """A sampler that needs no compiling: each set of patients has a posterior at its own place, well mixed or not."""

    def __init__(self, spec: Spec, evidence: Evidence, *, apart: float = 3.0, failing: tuple[int, ...] = ()) -> None:
        self.spec, self.evidence, self.apart, self.failing = spec, evidence, apart, failing
        self.built, self.seeds, self.sets = 0, [], []

    def build(self, inputs: Any, say: Any) -> "Scripted":
        self.built, self.settings = self.built + 1, inputs.spec.sampling
        return self

    def __call__(
        self, accept: float, seed: int, *, patients: Evidence | None = None, again: bool = False
    ) -> tuple[xr.Dataset, xr.Dataset]:
        assert patients is not None
        if not any(patients is known for known in self.sets):
            self.sets.append(patients)
        self.seeds.append(seed)
        label, chains, count = len(self.sets), self.settings.chains, self.settings.draws
        made = posteriors.result(self.spec, self.evidence, chains=chains, draws=count, seed=seed)
        posterior = made.posterior.assign(log_hr=made.posterior["log_hr"] + self.apart * label)
        if label in self.failing:
            shift = xr.DataArray(np.arange(chains) * 5.0, dims="chain")
            posterior = posterior.assign(intercept=posterior["intercept"] + shift)
        energy = np.random.default_rng(seed).standard_normal((chains, count))
        names = ("chain", "transition")
        stats = xr.Dataset({"diverging": (names, np.zeros((chains, count), bool)), "energy": (names, energy)})
        return posterior.assign_coords(chain=range(chains), draw=range(count)), stats


def scripted(mixed, monkeypatch, *, kept: int = 10_000, **how: Any) -> tuple[Result, Scripted]:
    spec, evidence = mixed
    spec = spec.model_copy(update={"sampling": spec.sampling.model_copy(update={"thin": 1})})
    imputed_fits = import_module("bayes_bm.inference.imputed_fits")
    monkeypatch.setattr(imputed_fits, "KEPT", kept)
    monkeypatch.setattr(imputed_fits, "imputed", drawn_once)
    fake = Scripted(spec, evidence, **how)
    monkeypatch.setattr(samplers, "sampler", fake.build)
    return fit(spec, evidence, imputations=M, seed=11), fake


@pytest.mark.slow
def test_each_imputation_has_its_own_patients_seed_and_equally_many_draws(mixed, monkeypatch) -> None:
    result, fake = scripted(mixed, monkeypatch)
    assert fake.built == 1
    assert len(set(fake.seeds)) == M
    assert len({of.patients["time"].to_numpy().tobytes() for of in fake.sets}) == M
    labels = result.posterior["imputation"].to_numpy()
    assert result.posterior["imputation"].dims == ("chain",)
    assert labels.tolist() == np.repeat(np.arange(1, M + 1), 2).tolist()
    assert result.posterior.sizes["draw"] == 250
    assert result.sample_stats.sizes == {"chain": 2 * M, "transition": 1000}
    by_label = result.posterior["log_hr"].groupby("imputation").mean(...)
    np.testing.assert_allclose(np.diff(by_label), 3.0, atol=0.1)
    known = {name: result.provenance[name] for name in ("imputations", "chains", "tune", "draws", "seed")}
    assert known == {"imputations": M, "chains": 2, "tune": 500, "draws": 1000, "seed": 11}
    assert result.provenance["reconstructed"] == ["s, x", "s, y", "t, x"]
    assert result.spec.sampling.chains == 4
    found = result.provenance["variance"]["log_hr[b]"]
    assert found["between"] == pytest.approx(9 * (M**2 - 1) / 12 * M / (M - 1), rel=0.05)


@pytest.mark.slow
def test_processes_give_the_same_draws_and_share_the_work(mixed) -> None:
    """Bit for bit, gates and all, in processes that find the compiled code on disk."""
    spec, evidence = mixed
    given: dict[str, Any] = {"imputations": M, "draws": 20, "tune": 30, "seed": 5}
    # whoever compiles it links other copies of its parts, which round otherwise: here that was this process, perhaps
    fit(spec, evidence, draws=10, tune=10)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        here, said = other.submit(fit_of_short_chains, spec, evidence, **given).result(), list[str]()
    there = fit(spec, evidence, **given, processes=2, say=said.append)
    for group in ("posterior", "sample_stats"):
        one, other = getattr(here, group), getattr(there, group)
        for name in one.data_vars:
            np.testing.assert_array_equal(one[name].to_numpy(), other[name].to_numpy(), err_msg=name)
        xr.testing.assert_identical(one, other)
    assert here.gate == there.gate
    assert here.imputations is not None
    assert there.imputations is not None
    np.testing.assert_array_equal(here.imputations.time, there.imputations.time)
    assert sum("done" in stage for stage in said) == M
    assert any(stage.endswith(f"{M} of {M}") for stage in said)


@pytest.mark.slow
def test_an_imputation_that_breaks_off_is_named_and_nothing_is_answered(mixed, monkeypatch) -> None:
    """Tried twice, then named; the others do not make an answer of less than M."""
    made, tried = Scripted.__call__, list[int]()

    def broken(
        self: Scripted, accept: float, seed: int, *, patients: Evidence | None = None, again: bool = False
    ) -> Any:
        found = made(self, accept, seed, patients=patients, again=again)
        if len(self.sets) > 2 and patients is self.sets[2]:
            tried.append(seed)
            raise FloatingPointError("no start was found")
        return found

    monkeypatch.setattr(Scripted, "__call__", broken)
    with pytest.raises(BayesBmError, match="imputation 3 of 20: FloatingPointError: no start was found"):
        scripted(mixed, monkeypatch)
    assert len(tried) == 2
    assert len(set(tried)) == 1


def test_processes_are_refused_for_a_single_fit(mixed) -> None:
    spec, evidence = mixed
    for given, said in (
        ({"processes": 2}, "--processes: found 2 for a single fit; allowed: many fits: --imputations M"),
        ({"scheduler": "tcp://127.0.0.1:9"}, "--scheduler: found tcp://127.0.0.1:9 for a single fit"),
        ({"processes": 0, "imputations": M}, "--processes: found 0; allowed: 1 or more"),
    ):
        with pytest.raises(InputError, match=said):
            fit(spec, evidence, **given)


@pytest.mark.slow
def test_posteriors_that_lie_apart_pass_each_by_itself(mixed, monkeypatch) -> None:
    """Three sds apart: every imputation passes, and so does the whole; on the stack R-hat would be above 5."""
    result, _ = scripted(mixed, monkeypatch, apart=10.0)
    assert result.gate.passed
    assert not convergence_gate(result.posterior, result.sample_stats, target_accept=0.9).passed
    assert result.imputations is not None
    assert [gate.passed for gate in result.imputations.gates] == [True] * M
    rows = {row["parameter"]: row for row in result.gate.rows}
    for key, worst in (("rhat", max), ("ess_bulk", min), ("ess_tail", min)):
        each = [row[key] for gate in result.imputations.gates for row in gate.rows if row["parameter"] == "log_hr[b]"]
        assert rows["log_hr[b]"][key] == worst(each)
    assert result.gate.draws == M * 2000


@pytest.mark.slow
def test_an_imputation_that_fails_is_named_and_fails_the_whole(mixed, monkeypatch, tmp_path) -> None:
    result, fake = scripted(mixed, monkeypatch, failing=(7, 12))
    assert len(fake.seeds) == M + 2
    assert len(set(fake.seeds)) == M + 2
    assert not result.gate.passed
    assert [reason.split(":")[0] for reason in result.gate.reasons] == ["imputation 7 of 20", "imputation 12 of 20"]
    assert "R-hat of intercept" in result.gate.reasons[0]
    assert result.gate.first_try[0].startswith("imputation 7 of 20: R-hat")
    assert result.imputations is not None
    assert result.imputations.worst in (7, 12)
    with pytest.raises(GateRefused, match="imputation 7 of 20: R-hat of intercept"):
        result.require_gate()
    with pytest.raises(SystemExit) as left:
        main(["compare", str(result.save(tmp_path / "failed.nc"))])
    assert left.value.code == 1


def test_the_worst_of_several_gates_is_kept_number_by_number() -> None:
    good = Gate(({"parameter": "p", "rhat": 1.001, "ess_bulk": 900.0, "ess_tail": 500.0},), 1, 100, 0.9, 0.9, ())
    poor = Gate(({"parameter": "p", "rhat": 1.009, "ess_bulk": 950.0, "ess_tail": 450.0},), 2, 100, 0.4, 0.99, ())
    lost = Gate(
        ({"parameter": "p", "rhat": float("nan"), "ess_bulk": 1.0, "ess_tail": 1.0},), 0, 100, 0.5, 0.9, ("no",)
    )
    found = joint_gate([good, poor])
    assert found.rows == ({"parameter": "p", "rhat": 1.009, "ess_bulk": 900.0, "ess_tail": 450.0},)
    assert (found.divergences, found.draws, found.min_bfmi, found.target_accept) == (3, 200, 0.4, 0.99)
    assert found.passed
    assert np.isnan(joint_gate([good, lost, poor]).rows[0]["rhat"])
    assert joint_gate([good, lost]).reasons == ("imputation 2 of 2: no",)


@pytest.mark.slow
def test_what_is_pointwise_belongs_to_one_imputation(mixed, monkeypatch) -> None:
    _, evidence = mixed
    result, fake = scripted(mixed, monkeypatch, apart=0.0)
    assert not result.log_likelihood.data_vars
    with pytest.raises(InputError, match=r"20 imputations, whose patients differ; .* result.of_imputation\(1\)"):
        _ = replace(result, stored_log_likelihood=None).log_likelihood
    with pytest.raises((TypeError, ValueError, KeyError)):
        az.loo(result.to_arviz())
    third = result.of_imputation(3)
    assert third.posterior.sizes["chain"] == 2
    np.testing.assert_array_equal(third.evidence.patients["time"], fake.sets[2].patients["time"])
    of_third = replace(third, evidence=fake.sets[2], stored_log_likelihood=xr.Dataset())
    xr.testing.assert_allclose(third.log_likelihood, pointwise_log_likelihood(of_third.predictors))
    on_best = pointwise_log_likelihood(replace(third, evidence=evidence).predictors)
    assert not np.allclose(third.log_likelihood["patients"], on_best["patients"])
    np.testing.assert_allclose(third.log_likelihood["medians"], on_best["medians"])
    with pytest.raises(InputError, match="imputation: found 21; allowed: 1 to 20"):
        result.of_imputation(21)
    with pytest.raises(InputError, match="best reconstruction alone"):
        third.of_imputation(1)


@pytest.mark.slow
def test_a_saved_result_keeps_its_imputations_and_its_curves(mixed, monkeypatch, tmp_path) -> None:
    result, fake = scripted(mixed, monkeypatch, failing=(4,))
    back = load(result.save(tmp_path / "result.nc"))
    xr.testing.assert_identical(back.posterior.drop_attrs(), result.posterior.drop_attrs())
    xr.testing.assert_identical(back.sample_stats.drop_attrs(), result.sample_stats.drop_attrs())
    assert back.posterior["imputation"].dims == ("chain",)
    assert back.gate == result.gate
    assert back.provenance == result.provenance
    assert back.imputations is not None and result.imputations is not None
    assert back.imputations.gates == result.imputations.gates
    np.testing.assert_array_equal(back.imputations.time, result.imputations.time)
    np.testing.assert_array_equal(back.imputations.event, result.imputations.event)
    pd.testing.assert_frame_equal(imputation_summary(back), imputation_summary(result))
    for ours, theirs in zip(imputed(back.evidence, M, seed=11), fake.sets, strict=True):
        pd.testing.assert_frame_equal(ours.patients, theirs.patients, check_dtype=False)
    tree = result.to_arviz()
    assert tree["posterior"].to_dataset()["imputation"].dims == ("chain",)


# ------------------------------------------------------------------------------------------------ what is said


@pytest.mark.slow
def test_the_summary_has_every_parameter_and_every_row_of_compare(mixed, monkeypatch) -> None:
    result, _ = scripted(mixed, monkeypatch, apart=0.2)
    table = imputation_summary(result, who=bb.NewHospital())
    answers = bb.compare(result, who=bb.NewHospital())
    kept = answers[answers["estimand"] != "hazard_ratio"].reset_index(drop=True)
    parameters = table[table["treatment"].isna()]
    assert {"intercept", "log_hr[b]", "log_shape", "study_sd"} <= set(parameters["quantity"])
    rows = table[table["treatment"].notna()].reset_index(drop=True)
    for ours, theirs in (("quantity", "estimand"), ("treatment", "treatment"), ("reference", "reference")):
        assert rows[ours].tolist() == kept[theirs].tolist()
    np.testing.assert_allclose(rows["mean"], kept["mean"], rtol=1e-12)
    values = bb.survival(result, [12.0], who=bb.NewHospital()).sel(treatment="b", time=12.0).to_numpy()
    each = values.reshape(M, -1)
    row = rows[(rows["quantity"] == "survival") & (rows["treatment"] == "b") & (rows["time"] == 12.0)].iloc[0]
    assert row["within"] == pytest.approx(each.var(axis=1, ddof=1).mean(), rel=1e-10)
    assert row["between"] == pytest.approx(each.mean(axis=1).var(ddof=1), rel=1e-10)
    with pytest.raises(InputError, match="a result of the best reconstruction alone"):
        imputation_summary(result.of_imputation(1))


def on_one_line(capsys) -> Any:
    said = capsys.readouterr()
    return said.out, " ".join(said.err.split())


@pytest.mark.slow
def test_compare_adds_one_key_and_changes_no_row(mixed, monkeypatch, tmp_path, capsys) -> None:
    result, _ = scripted(mixed, monkeypatch, apart=0.2)
    main_ = _status(["compare", str(result.save(tmp_path / "many.nc")), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert main_ == 0
    extra, errors = found.pop("reconstruction"), found.pop("monte_carlo_errors")
    assert set(found) == {"who", "gate", "spec", "time_unit", "rows"}
    columns = {name for name in bb.compare(result) if not name.startswith("mcse_")}
    assert set(found["rows"][0]) == columns
    assert len(errors) == len(found["rows"])
    assert (extra["arms"], extra["imputations"]) == (3, M)
    row = next(row for row in extra["variance"] if row["quantity"] == "log_hazard_ratio")
    parts = result.provenance["variance"]["log_hr[b]"]
    assert row["between"] == pytest.approx(parts["between"])
    expected = f"from {parts['width_within']:.2f} to {parts['width']:.2f}, by {100 * parts['wider']:.1f} %"
    assert (
        f"Reconstruction widens the 95 % interval of log HR, b against a, {expected}; the patients of 3"
        in extra["note"]
    )
    best = posteriors.result(*mixed)
    _status(["compare", str(best.save(tmp_path / "best.nc")), "--json"])
    extra = json.loads(capsys.readouterr().out)["reconstruction"]
    assert (extra["imputations"], extra["variance"]) == (1, [])
    assert extra["note"].startswith("Reconstruction uncertainty is not included: the patients of 3 study arms")
    assert extra["note"].endswith("add --imputations 20 to the command of this fit.")
    spec = worlds.spec()
    _status(["compare", str(posteriors.result(spec, worlds.evidence(spec)).save(tmp_path / "none.nc")), "--json"])
    assert "reconstruction" not in json.loads(capsys.readouterr().out)


def _status(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.mark.slow
def test_the_command_refuses_too_few(mixed, tmp_path, capsys) -> None:
    spec, _ = mixed
    file = tmp_path / "world.toml"
    text = Path(spec.folder, "curves.csv")
    document = {**worlds.document(treatments=TWO), "evidence": {"curves": str(text)}}
    file.write_text(_toml(document), encoding="utf-8")
    status = _status(["fit", str(file), "--out", str(tmp_path / "r.nc"), "--imputations", "19"])
    assert status == 2
    assert "imputations: found 19; allowed: 20 or more" in on_one_line(capsys)[1]
    assert not (tmp_path / "r.nc").exists()


def _toml(document: dict[str, Any]) -> str:
    """A document as TOML: tables as inline tables, which JSON's values nearly are."""

    def value(of: Any) -> str:
        if isinstance(of, dict):
            return "{ " + ", ".join(f"{key} = {value(item)}" for key, item in of.items()) + " }"
        return json.dumps(of)

    return "\n".join(f"{key} = {value(of)}" for key, of in document.items())


def page(result: Result, path: Path) -> str:
    checks = {"audit": audit(result.spec, result.evidence), "reconciliation": reconcile(result), "contrasts": None}
    return bb.write_report(result, path, **checks).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_report_shows_what_reconstruction_adds_or_says_that_it_is_left_out(mixed, monkeypatch, tmp_path) -> None:
    # that a page without curves says neither stands in tests/report
    result, _ = scripted(mixed, monkeypatch, apart=0.2, kept=400)
    text = page(result, tmp_path / "many.html")
    parts = result.provenance["variance"]["log_hr[b]"]
    assert text.count("Reconstruction widens the 95 % interval of log HR") == 3
    assert "Patients rebuilt from curves" in text
    assert f">{parts['between'] ** 0.5:.2g}<" in text
    assert f">{100 * parts['share']:.1f} %<" in text
    assert "Of each number the worst of 20 imputations, each judged by itself." in text
    assert result.imputations is not None
    assert f"Rank plots of imputation {result.imputations.worst}, whose chains agree least" in text
    assert "--chains 2 --imputations 20" in text
    best = page(posteriors.result(*mixed), tmp_path / "best.html")
    assert best.count("Reconstruction uncertainty is not included") == 3
    assert "--imputations 20" in best


# ------------------------------------------------------------------------------------------------ real fits (slow)

PLAIN = {"effects": {}, "sampling": {"thin": 1}}


@pytest.fixture(scope="module")
def careless(tmp_path_factory):
    """Two arms clicked carelessly, with nothing printed but n; and how often a model was made ready for sampling."""
    folder = registered(tmp_path_factory.mktemp("careless"), {key: CURVES[key] for key in list(CURVES)[:2]})
    spec, evidence = read(folder, **PLAIN)
    compiled, said = [], []
    once = samplers.sampler

    def counted(*of: Any) -> Any:
        compiled.append(of)
        return once(*of)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samplers, "sampler", counted)
        result = fit(spec, evidence, imputations=M, draws=1000, say=said.append)
    return result, len(compiled), said


@pytest.mark.slow
def test_a_model_is_compiled_once_for_all_imputations(careless) -> None:
    result, compiled, said = careless
    assert compiled == 1
    assert result.gate.passed
    assert "imputation 20 of 20: sampling 2 chains of 500 + 1000" in said


@pytest.mark.slow
def test_every_imputation_is_the_posterior_of_its_own_patients(careless) -> None:
    """Against fits from scratch to the same patients: means within 5 Monte Carlo errors at an ESS of 400."""
    result, _, _ = careless
    for label in (1, 13):
        alone = fit(result.spec, result.imputations.evidence(result.evidence, label), draws=1000, chains=2)
        ours = result.of_imputation(label).posterior
        for name in ("intercept", "log_hr", "log_shape"):
            sd = float(alone.posterior[name].std())
            assert float(ours[name].mean()) == pytest.approx(float(alone.posterior[name].mean()), abs=5 * sd / 20), name


@pytest.mark.slow
def test_careless_clicks_widen_the_answer_and_exact_curves_do_not(careless, tmp_path) -> None:
    """Clicks: B of the level and the shape is far above its chains' error. Exact curves: B is that error alone.

    With an ESS of 400 or more B / W of equal posteriors is at most 1 / 400 times a chi-square of 19 over 19, below 2.3
    but once in a thousand.
    """
    result, _, _ = careless
    table = imputation_summary(result).set_index("quantity")
    for name in ("intercept", "log_shape"):
        assert table.loc[name, "between"] > 3 * 2.3 / 400 * table.loc[name, "within"], name
        assert table.loc[name, "total"] > table.loc[name, "within"], name
    exact = {key: arm_of(at, 40, exact=True)[0] for at, key in enumerate(list(CURVES)[:2], start=1)}
    spec, evidence = read(registered(tmp_path, exact), **PLAIN)
    known = imputation_summary(fit(spec, evidence, imputations=M, draws=600)).set_index("quantity")
    for name in ("intercept", "log_hr[b]", "log_shape"):
        assert known.loc[name, "between"] < 2.3 / 400 * known.loc[name, "within"], name
        assert known.loc[name, "wider"] < 0.005, name


@pytest.mark.slow
def test_other_patients_reach_the_density_by_hand(mixed) -> None:
    """Three times as long survival lowers log H at the reference time by more than half; going back restores it."""
    _, evidence = mixed
    evidence = replace(evidence, medians=evidence.medians.iloc[:0])
    settings = {"draws": 100, "tune": 200, "chains": 1, "thin": 1, "cores": 1}
    spec = worlds.spec(treatments=TWO, effects={}, sampling=settings)
    sample = samplers.sampler(prepare(spec, evidence), lambda stage: None)
    longer = replace(evidence, patients=evidence.patients.assign(time=evidence.patients["time"] * 3))
    first, other, again = (sample(0.9, 5, patients=of)[0]["intercept"] for of in (None, longer, evidence))
    assert float(first.mean()) - float(other.mean()) > 0.5
    np.testing.assert_array_equal(first, again)


@pytest.mark.slow
def test_other_patients_reach_the_density_on_the_way_of_numba(mixed, monkeypatch) -> None:
    """At a point, of what nutpie's model holds for its compiled density; going back restores it.

    Only the last step, numba's, is left out: half a minute. `test_pymcs_own_sampler_agrees_with_nutpie` compiles a
    graph by numba.
    """
    _, evidence = mixed
    evidence = replace(evidence, medians=evidence.medians.iloc[:0])
    spec, point = worlds.spec(treatments=TWO, effects={}), np.array([0.3, -0.2, 0.1])
    mine = graphs.build_model(spec, evidence)
    density = graphs.vector_of(mine)[0]

    def density_of_held(target: Any, *_: Any, **__: Any) -> float:
        for variable, key in target.shared_var_keys.items():
            mine[variable.name].set_value(target.shared_data[key])
        return density(point)[0]

    monkeypatch.setattr("numba.cfunc", lambda *_, **__: lambda function: function)
    monkeypatch.setattr(graph_samplers, "MANY_PATIENTS", 0)
    monkeypatch.setattr(graph_samplers, "run_nutpie", density_of_held)
    monkeypatch.setattr(graph_samplers, "_groups", lambda found, thin: found)
    monkeypatch.setattr(samplers, "why_not", lambda *of: "this is a test of the graph")
    sample = samplers.sampler(prepare(spec, evidence), lambda stage: None)
    longer = replace(evidence, patients=evidence.patients.assign(time=evidence.patients["time"] * 3))
    first, other, again = (sample(0.9, 5, patients=of) for of in (None, longer, evidence))
    wanted = [graphs.vector_of(graphs.build_model(spec, of))[0](point)[0] for of in (evidence, longer)]
    assert [first, other] == pytest.approx(wanted, rel=1e-10)
    assert wanted[0] != pytest.approx(wanted[1], rel=1e-3)
    assert first == again


@pytest.mark.slow
def test_other_patients_reach_the_density_on_the_way_of_the_c_linker(mixed, monkeypatch) -> None:
    """At a point, the density of a graph that was made for those patients; going back restores it.

    Without a C compiler PyTensor takes each operation's Python on the same way: half a minute of compiling tells no
    more of how patients get there. `test_a_stopped_fit_of_the_other_samplers_writes_nothing` compiles it.
    """
    _, evidence = mixed
    evidence = replace(evidence, medians=evidence.medians.iloc[:0])
    spec, point = worlds.spec(treatments=TWO, effects={}), np.array([0.3, -0.2, 0.1])
    monkeypatch.setattr(pytensor.config, "cxx", "")
    monkeypatch.setattr(graph_samplers, "MANY_PATIENTS", 10**9)
    monkeypatch.setattr(graph_samplers, "run_nutpie", lambda target, *_, **__: target._make_logp_func()(point))
    monkeypatch.setattr(graph_samplers, "_groups", lambda found, thin: found)
    monkeypatch.setattr(samplers, "why_not", lambda *of: "this is a test of the graph")
    sample = samplers.sampler(prepare(spec, evidence), lambda stage: None)
    longer = replace(evidence, patients=evidence.patients.assign(time=evidence.patients["time"] * 3))
    first, other, again = (sample(0.9, 5, patients=of)[0] for of in (None, longer, evidence))
    wanted = [graphs.vector_of(graphs.build_model(spec, of))[0](point)[0] for of in (evidence, longer)]
    assert [first, other] == pytest.approx(wanted, rel=1e-10)
    assert wanted[0] != pytest.approx(wanted[1], rel=1e-3)
    assert first == again
