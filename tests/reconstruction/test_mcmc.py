"""The chain over patients behind clicks: its density by quadrature, its bookkeeping anew, its prior by closed form."""

# pyright: reportArgumentType=false
# numba's decorator hides the types of what it compiles

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from bayes_bm.reconstruction.clicked import hazard_walk, mcmc, staircase
from bayes_bm.reconstruction.clicked.hazard_walk import Hazards
from bayes_bm.reconstruction.clicked.staircase import CENSORED, DEATH, LAST, Arm, State
from bayes_bm.runtime.compiling import cached_njit

FAR_AWAY = 1e6  # of a click that no staircase comes near: its density is a constant


def arm_of(x, y, n, *, edges=(0.0, 1.0), start=None, bound=None, fixed_total=False, pitch=0.004, worth=1.0):
    start = np.array([0, n] if start is None else start)
    order = np.argsort(np.add(x, y), kind="stable")
    x, y = np.asarray(x, float)[order], np.asarray(y, float)[order]
    bound = np.zeros(len(x), bool) if bound is None else np.asarray(bound)[order]
    interval = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return Arm(interval, start, np.array(edges), x, y, x + y, bound, fixed_total, False, 0.01, pitch, worth)


def state_of(arm, time, kind, sigma):
    nodes = int((arm.edges[-1] + 1) / arm.pitch) + 3
    scalars = np.array([sigma, float(time[-1])])
    logs, survival = np.zeros(len(arm.x)), np.zeros(len(time))
    state = State(time.copy(), kind.copy(), survival, np.zeros(nodes), np.zeros(nodes), logs, scalars, np.zeros(1, int))
    staircase.refresh_state(arm, state)
    return state


def patients(seed, n, *, lam=1.5, gamma=0.5):
    rng = np.random.default_rng(seed)
    death, lost = rng.exponential(1 / lam, n), rng.exponential(1 / gamma, n)
    time = np.minimum(np.minimum(death, lost), 0.9)
    kind = np.where(time == 0.9, LAST, np.where(death < lost, DEATH, CENSORED))
    order = np.argsort(time, kind="stable")
    return time[order], kind[order].astype(np.int64)


def hazards(lam, gamma, upper):
    record = Hazards(
        np.full(96, np.log(lam)), np.full(12, np.log(gamma)), np.empty(97), np.empty(13), np.array([0.4, 1.0])
    )
    hazard_walk.cumulate(record.death, upper, record.cum_death)
    hazard_walk.cumulate(record.lost, upper, record.cum_lost)
    return record


NODES, SHARES = np.polynomial.legendre.leggauss(200)


def integral(function, low, high):
    """By 200 nodes of Gauss and Legendre, of which no piece of a staircase leaves fewer than two to a click's sd."""
    half = (high - low) / 2
    return half * (SHARES @ function(low + half * (NODES + 1)))


def twin(x, y, time, kind, sigma, *, limit):
    """The integral along the staircase, run by run and drop by drop."""
    n, level, start, total = len(time), 1.0, 0.0, 0.0

    def weight(px, py):
        vertical = norm.cdf(y, py, sigma) if limit else norm.pdf(y, py, sigma)
        return norm.pdf(x, px, sigma) * vertical * math.sqrt(2 * math.pi)

    for i in range(n):
        if kind[i] != DEATH and i < n - 1:
            continue
        height = 1 - level
        total += integral(lambda t, h=height: weight(t, h), start, time[i])
        if kind[i] == DEATH:
            fallen = 1 - level * (1 - 1 / (n - i))
            total += integral(lambda h, t=time[i]: weight(t, h), height, fallen)
            level, start = 1 - fallen, time[i]
    return total * (1.0 if limit else math.sqrt(2 * math.pi))


@pytest.mark.slow
@pytest.mark.parametrize("limit", [False, True])
def test_density_of_a_click_is_the_integral_along_the_staircase(limit):
    """exp of it is the integral but for the constant (2 pi sigma^2)^-1/2 of each normal density that is one."""
    time, kind = patients(3, 40)
    sigma, rng = 0.01, np.random.default_rng(1)
    x = rng.uniform(0.05, 0.7, 12)
    steps = np.array([np.prod([1 - 1 / (40 - i) for i in range(40) if time[i] <= t and kind[i] == DEATH]) for t in x])
    y = 1 - steps + sigma * rng.normal(size=12) + (0.08 if limit else 0.0)
    arm = arm_of(x, y, 40, bound=np.full(12, limit), pitch=0.1 * sigma)
    state = state_of(arm, time, kind, sigma)
    for c in range(12):
        expected = twin(arm.x[c], arm.y[c], time, kind, sigma, limit=limit)
        assert state.logs[c] == pytest.approx(math.log(expected), abs=2e-3)


@cached_njit(mcmc, staircase)
def attempt(arm, now, new, hazards, warp, exchange, nearby, rng):
    """One move: a warp, an exchange, a step near by or one anywhere, with these cumulative shares."""
    pick, i = rng.random(), int(rng.random() * len(now.time))
    if pick < warp:
        proposal = mcmc._warp(arm, now, new, hazards, arm.interval[i], rng)
    elif pick < exchange:
        proposal = mcmc._exchange(arm, now, new, hazards, i, rng)
    else:
        proposal = mcmc._displace(arm, now, new, hazards, i, pick < nearby, rng)
    if proposal.low >= 0:
        mcmc._settle(arm, now, new, proposal, rng)


@cached_njit(mcmc, staircase)
def attempts(arm, now, new, hazards, number, ends, rng):
    """Some moves of patients, and one of the end and of the click error if `ends`."""
    for _ in range(number):
        attempt(arm, now, new, hazards, 0.2, 0.5, 0.75, rng)
    if ends:
        mcmc._move_end(arm, now, new, hazards, rng)
        mcmc._move_error(arm, now, new, rng)


@pytest.mark.slow
@pytest.mark.parametrize("fixed_total", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_weighing_what_a_move_changes_is_weighing_all_anew(fixed_total, split):
    """Click densities, nodes and survival after every third move against what is computed anew; both states agree."""
    time, kind = patients(5, 60)
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 0.9, 50)
    y = 1 - np.exp(-1.5 * x) + 0.02 * rng.normal(size=50)
    late = int((time < 0.4).sum())
    where = {"edges": (0.0, 0.4, 1.0), "start": [0, late, 60]} if split else {}
    arm = arm_of(x, y, 60, bound=rng.uniform(size=50) < 0.2, fixed_total=fixed_total, pitch=0.02, **where)
    now, new, priors = state_of(arm, time, kind, 0.02), state_of(arm, time, kind, 0.02), hazards(1.5, 0.5, 1.0)
    accepted = 0
    for step in range(400):
        old_total = now.logs.sum()
        attempts(arm, now, new, priors, 3, step % 3 == 0, rng)
        accepted += now.logs.sum() != old_total
        anew = State(*(column.copy() for column in now))
        staircase.refresh_state(arm, anew)
        nodes = anew.nodes[0]
        assert now.nodes[0] == nodes
        for state in (now, new):
            np.testing.assert_allclose(state.logs, anew.logs, rtol=0, atol=1e-10)
            np.testing.assert_allclose(state.x[:nodes], anew.x[:nodes], rtol=0, atol=1e-10)
            np.testing.assert_allclose(state.survival, anew.survival, rtol=0, atol=1e-10)
            np.testing.assert_allclose(state.time, anew.time, rtol=0, atol=1e-10)
        np.testing.assert_allclose(now.y[:nodes], anew.y[:nodes], rtol=0, atol=1e-10)
    assert accepted > 100


@cached_njit(mcmc, staircase)
def prior_only(arm, now, new, hazards, sweeps, rng, kinds, deaths, squares):
    n = len(now.time)
    for s in range(sweeps):
        for _ in range(n):
            attempt(arm, now, new, hazards, 0.4, 0.6, 0.8, rng)
        for i in range(n):
            kinds[s, now.kind[i]] += 1
            if now.kind[i] == DEATH:
                deaths[s] += now.time[i]
                squares[s] += now.time[i] ** 2


@pytest.mark.slow
@pytest.mark.parametrize("fixed_total", [False, True])
def test_without_clicks_the_chain_visits_the_prior(fixed_total):
    """n patients with hazards lambda and gamma, follow-up to 0.9: shares and moments in closed form.

    Leaving has rate r = lambda + gamma, a share lambda / r of it by death, and exp(-0.9 r) stay to the end. With the
    total of deaths fixed at d, n - d others leave at gamma / r (1 - exp(-0.9 r)) against exp(-0.9 r).
    """
    lam, gamma, n, end = 1.5, 0.8, 20, 0.9
    rate, stay = lam + gamma, math.exp(-(lam + gamma) * end)
    time, kind = patients(7, n, lam=lam, gamma=gamma)
    arm = arm_of([-FAR_AWAY, FAR_AWAY], [0.5, 0.5], n, fixed_total=fixed_total, pitch=0.05, worth=0.0)
    now, new, sweeps = state_of(arm, time, kind, 0.05), state_of(arm, time, kind, 0.05), 30_000
    kinds, deaths, squares = np.zeros((sweeps, 3)), np.zeros(sweeps), np.zeros(sweeps)
    prior_only(arm, now, new, hazards(lam, gamma, 1.0), sweeps, np.random.default_rng(4), kinds, deaths, squares)
    if fixed_total:
        assert (kinds[:, DEATH] == (kind == DEATH).sum()).all()
        lost = gamma / rate * (1 - stay)
        expected = (kind != DEATH).sum() * stay / (lost + stay)
        assert kinds[:, LAST].mean() == pytest.approx(expected, abs=0.05)
    else:
        shares = kinds.mean(axis=0) / n
        assert shares[DEATH] == pytest.approx(lam / rate * (1 - stay), abs=0.005)
        assert shares[CENSORED] == pytest.approx(gamma / rate * (1 - stay), abs=0.005)
    moments = [quad(lambda t, k=k: t**k * rate * math.exp(-rate * t), 0, end)[0] / (1 - stay) for k in (1, 2)]
    assert deaths.sum() / kinds[:, DEATH].sum() == pytest.approx(moments[0], abs=0.003)
    assert squares.sum() / kinds[:, DEATH].sum() == pytest.approx(moments[1], abs=0.003)


@pytest.mark.slow
def test_each_click_weighs_the_length_of_the_line():
    """One patient, clicks that no place of the line comes near: its prior times U^-m, m the clicks times their worth.

    U is t + 1 for a death at t, t for a censoring, 0.9 for who is seen to the end. A death lengthens the line by its
    whole drop, so without the factor it is too likely.
    """
    lam, gamma, end, power = 1.5, 0.8, 0.9, 0.5
    rate = lam + gamma
    arm = arm_of([-FAR_AWAY, FAR_AWAY], [0.5, 0.5], 1, pitch=0.05, worth=power / 2)._replace(overrun=np.inf)
    time, kind = np.array([0.5]), np.array([DEATH])
    now, new, sweeps = state_of(arm, time, kind, 0.05), state_of(arm, time, kind, 0.05), 400_000
    now.scalars[1] = new.scalars[1] = end
    kinds, deaths, squares = np.zeros((sweeps, 3)), np.zeros(sweeps), np.zeros(sweeps)
    prior_only(arm, now, new, hazards(lam, gamma, 1.0), sweeps, np.random.default_rng(4), kinds, deaths, squares)
    weights = np.empty(3)
    weights[DEATH] = quad(lambda t: lam * math.exp(-rate * t) * (1 + t) ** -power, 0, end)[0]
    weights[CENSORED] = quad(lambda t: gamma * math.exp(-rate * t) * t**-power, 0, end)[0]
    weights[LAST] = math.exp(-rate * end) * end**-power
    np.testing.assert_allclose(kinds.mean(axis=0), weights / weights.sum(), atol=0.006)


def test_states_keep_every_printed_number():
    time, kind = patients(9, 80)
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 0.9, 40)
    y = 1 - np.exp(-1.5 * x) + 0.01 * rng.normal(size=40)
    gone_before = [int((time < t).sum()) for t in (0.3, 0.6)]
    arm = arm_of(x, y, 80, edges=(0.0, 0.3, 0.6, 1.0), start=[0, *gone_before, 80], fixed_total=True, pitch=0.011)
    states = mcmc.sample_patients(arm, time, kind, 0.01, rng, hold=5, every=2, keep=10)
    assert ((states.kind == DEATH).sum(axis=1) == (kind == DEATH).sum()).all()
    assert (np.diff(states.time, axis=1) >= 0).all()
    for t, gone in zip((0.3, 0.6), gone_before, strict=True):
        assert ((states.time < t).sum(axis=1) == gone).all()
    assert len(np.unique(states.time[:, 40])) > 5


def test_the_normal_distribution_of_lower_limits_is_that_of_scipy():
    places = np.linspace(-7, 10, 4001)
    values = [staircase._normal.py_func(z) for z in places.tolist()]
    np.testing.assert_allclose(values, norm.cdf(places), rtol=3e-7, atol=0)
    np.testing.assert_allclose(values, norm.cdf(places), rtol=0, atol=1e-11)
