"""Stages of arms averaged over their mixes: the parts of each arm's patients, and what arms print of them."""

from typing import Any

import numpy as np

from bayes_bm.inference.compiled import exponentials, fields, logarithms, populations, stages, totals
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells.fields import MIXES, Field
from bayes_bm.inference.compiled.fields import COVARIATES, JIT, MIX_COLUMNS, PART_ROWS, SLOPES, whole
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.populations import add_mixes, add_mixes_back, add_printed_mixes
from bayes_bm.inference.compiled.stages import SIGNATURE, Frame, array_at, data_of, frame_at, matrix_at, own_of, rows_at
from bayes_bm.runtime.compiling import cached_cfunc

_READS = (fields, cell_fields, stages, populations, exponentials, logarithms, totals)


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def mixes(pointer: Any) -> Any:
    """Parts of arms; log density of printed shares and means."""
    frame = frame_at(pointer)
    data, own, theta = data_of(frame), own_of(frame), array_at(frame, Frame.theta, np.float64)
    covariates, score = whole(data, Structure.place)[COVARIATES], array_at(frame, Frame.score, np.float64)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * covariates)
    parts = rows_at(frame, Frame.parts, PART_ROWS)
    flat = array_at(frame, Frame.mix, np.float64)
    mix = flat.reshape((flat.size // (covariates * MIX_COLUMNS), covariates, MIX_COLUMNS))
    add_mixes(theta, data, arm, mix, parts, whole(own, Field.part_first)[MIXES])
    return add_printed_mixes(theta, data, mix, score)


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def mixes_back(pointer: Any) -> Any:
    """From derivatives by the parts to slopes and to the population of arms."""
    frame = frame_at(pointer)
    data, own, theta = data_of(frame), own_of(frame), array_at(frame, Frame.theta, np.float64)
    covariates, score = whole(data, Structure.place)[COVARIATES], array_at(frame, Frame.score, np.float64)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * covariates)
    parts = rows_at(frame, Frame.parts, PART_ROWS)
    flat = array_at(frame, Frame.mix, np.float64)
    mix = flat.reshape((flat.size // (covariates * MIX_COLUMNS), covariates, MIX_COLUMNS))
    add_mixes_back(theta, data, arm, mix, parts, whole(own, Field.part_first)[MIXES], score)
    return 0.0
