"""The stages that every density begins and ends with: from coordinates to arms, and back."""

from typing import Any

import numpy as np

from bayes_bm.inference.compiled import classes, contrasts, effects, fields, stages
from bayes_bm.inference.compiled.classes import add_classes, add_classes_back
from bayes_bm.inference.compiled.contrasts import add_prognosis, add_ratios
from bayes_bm.inference.compiled.effects import add_arms, add_arms_back, add_effects, add_effects_back, add_priors
from bayes_bm.inference.compiled.fields import COVARIATES, JIT, SLOPES, Field, whole
from bayes_bm.inference.compiled.stages import SIGNATURE, Frame, array_at, data_of, frame_at, matrix_at
from bayes_bm.runtime.compiling import cached_cfunc


@cached_cfunc(SIGNATURE, fields, stages, effects, classes, contrasts, **JIT)
def forward(pointer: Any) -> Any:
    """Parameters, effects and arms of x; the log prior, and log densities of ratios that need no cells."""
    frame = frame_at(pointer)
    data, x, theta = data_of(frame), array_at(frame, Frame.x, np.float64), array_at(frame, Frame.theta, np.float64)
    slope, gradient = array_at(frame, Frame.slope, np.float64), array_at(frame, Frame.gradient, np.float64)
    score, covariates = array_at(frame, Frame.score, np.float64), whole(data, Field.place)[COVARIATES]
    study, pair = matrix_at(frame, Frame.study, 4), matrix_at(frame, Frame.pair, 3)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * covariates)
    value = add_priors(x, data, theta, slope, gradient)
    add_classes(theta, data)
    value += add_effects(theta, data, study, pair)
    add_arms(theta, data, study, pair, arm)
    if not whole(data, Field.ratio_apart)[0]:
        value += add_ratios(theta, data, study, pair, score)
    return value + add_prognosis(theta, data, score)


@cached_cfunc(SIGNATURE, fields, stages, effects, classes, **JIT)
def backward(pointer: Any) -> Any:
    """From derivatives by arms to the gradient."""
    frame = frame_at(pointer)
    data, theta, score = (
        data_of(frame),
        array_at(frame, Frame.theta, np.float64),
        array_at(frame, Frame.score, np.float64),
    )
    slope, gradient = array_at(frame, Frame.slope, np.float64), array_at(frame, Frame.gradient, np.float64)
    study, pair = matrix_at(frame, Frame.study, 4), matrix_at(frame, Frame.pair, 3)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * whole(data, Field.place)[COVARIATES])
    add_arms_back(data, arm, study, pair, score)
    add_effects_back(theta, data, study, pair, score)
    add_classes_back(theta, data, score)
    for i in range(gradient.size):
        gradient[i] += slope[i] * score[i]
    return 0.0


STRUCTURE_STAGES = np.array([forward.address, backward.address], dtype=np.int64)
"""In the order of `stages`."""
