"""One stream of random numbers a stage of work, spawned from the spec's seed.

A stage draws the same numbers whatever was asked before it, and no two stages share theirs.
"""

from enum import IntEnum, unique

import numpy as np


@unique
class RandomStage(IntEnum):
    """Where random numbers are drawn; the value is the spawn key of the stage's stream.

    A value never changes: another one moves every number that its stage draws. A new stage takes the next free one.
    """

    HOSPITAL_EFFECTS = 14
    """Level, shape and deviations of a new hospital."""
    STUDY_DEVIATIONS = 15
    """Deviations, in a named study, of treatments that it did not hold."""
    STATED_BASELINE = 16
    """Level and shape of the spec's own baseline, where studies' levels or shapes are free."""
    HOSPITAL_DEVIATIONS = 17
    """Deviations of treatments in a new hospital whose level is stated or not needed."""
    IMPUTED_FITS = 19
    """Chains fitted to a set of imputed patients; the set's label follows."""
    RECONCILIATION = 21
    """Replicates of printed numbers."""
    REPLICATES = 22
    """Replicates of arms for predictive bands."""
    INTEGRATION_POINTS = 23
    """Scrambling of the points over which arms' covariates are averaged; the number of the scrambling follows."""
    PREDICTIVE_TESTS = 24
    """Replicates of predictive checks; followed by 1, the uniform part of patients' probability integral transforms."""
    TWO_STAGE_FIT = 25
    """Proposals of the fit in two stages."""
    PRIOR_RESULT = 31
    """Draws of the priors."""
    STANDARDISATION = 32
    """Weights by which a cohort's patients are resampled."""
    OUTCOMES = 33
    """Times of one patient's event."""
    STUDY_VARIANCES = 34
    """Replicates of the statistics of variances between studies."""
    FRESH_MIXES = 35
    """Mixes of fresh arms beside those of the evidence's."""
    PLANNED_STUDIES = 36
    """Truths and numbers of planned studies; the number of the design follows."""
    MODEL_PRIOR = 37
    """Draws of a model's priors beside its posterior."""
    PREDICTIVE_DRAWS = 38
    """Replicates of every row of evidence beside it."""
    CAUSE_HOSPITALS = 39
    """Levels, deviations and shapes of a new hospital in a model of several causes."""


def stage_seeds(seed: int, stage: RandomStage, *part: int) -> np.random.SeedSequence:
    """Return the seeds of a stage, or of a numbered part of it."""
    return np.random.SeedSequence(seed, spawn_key=(int(stage), *part))


def random_stream(seed: int, stage: RandomStage, *part: int) -> np.random.Generator:
    """Return the stream of a stage, or of a numbered part of it, from its beginning."""
    return np.random.default_rng(stage_seeds(seed, stage, *part))
