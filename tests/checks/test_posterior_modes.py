"""Modes and curvatures that a rule of quadrature is put at."""

from dataclasses import dataclass

import numpy as np
import pytest

from bayes_bm.checks.posterior_modes import modes


@dataclass
class Exponentials:
    """Log density y . z - sum exp(a + z) - z^2 / 2 of scores: at its mode y - exp(a + z) - z = 0; `asked` draws."""

    y: np.ndarray
    a: np.ndarray
    asked: list[int]

    def __call__(self, z: np.ndarray) -> np.ndarray:
        self.asked.append(len(z))
        return np.sum(self.y * z - np.exp(self.a + z) - z**2 / 2, axis=1)

    def part(self, places: np.ndarray) -> "Exponentials":
        return Exponentials(self.y[places], self.a[places], self.asked)


def test_modes_and_curvatures_of_a_density_with_known_ones() -> None:
    rng = np.random.default_rng(3)
    joint = Exponentials(rng.uniform(0, 20, (200, 2)), rng.normal(0, 2, (200, 2)), [])
    mode, curvature = modes(joint, np.zeros((200, 2)))
    root = np.zeros((200, 2))
    for _ in range(2000):
        root += 0.02 * (joint.y - np.exp(joint.a + root) - root)
    exact = 1 + np.exp(joint.a + root)
    assert np.abs(mode - root).max() < 0.02
    diagonal = np.diagonal(curvature, axis1=1, axis2=2)
    assert np.abs(np.log(diagonal / exact)).max() < 0.1
    assert np.abs(curvature[:, 0, 1]).max() < 0.01
    # draws that have arrived are left alone
    assert joint.asked[-1] < 200


def test_a_step_that_leads_down_is_shortened_for_its_draw_alone() -> None:
    joint = Exponentials(np.array([[0.0], [30.0]]), np.array([[0.0], [-5.0]]), [])
    mode, _ = modes(joint, np.zeros((2, 1)))
    assert mode[:, 0] == pytest.approx([-0.567143, 8.087077], abs=0.02)
    assert 1 in joint.asked


@dataclass
class Correlated:
    """Log density m . z - z A z / 2 - sum exp(z_0 + z_1): its curvature is A, and exp(z_0 + z_1) in four places."""

    m: np.ndarray
    a: np.ndarray

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return np.sum(self.m * z, axis=1) - np.einsum("si,ij,sj->s", z, self.a, z) / 2 - np.exp(z[:, 0] + z[:, 1])

    def part(self, places: np.ndarray) -> "Correlated":
        return Correlated(self.m[places], self.a)


def test_curvatures_of_effects_that_hang_together() -> None:
    a = np.array([[2.0, 0.7, -0.4], [0.7, 1.5, 0.3], [-0.4, 0.3, 1.2]])
    mode, curvature = modes(Correlated(np.random.default_rng(4).normal(0, 2, (50, 3)), a), np.zeros((50, 3)))
    exact = np.repeat(a[None], 50, axis=0)
    exact[:, :2, :2] += np.exp(mode[:, 0] + mode[:, 1])[:, None, None]
    # mixed derivatives err by a thousandth of the third
    assert np.abs(curvature / exact - 1).max() < 0.002
