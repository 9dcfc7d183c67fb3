"""Computed tables + axes -> axes, one figure a file.

Drawing computes nothing and knows no model: every number drawn is a cell of a table made elsewhere.
"""

from bayes_bm.runtime.caches import lend_drawing_cache

# before anything here imports matplotlib
lend_drawing_cache()
