"""The model as a PyMC graph: the definition that the compiled density is held against."""

from bayes_bm.runtime.caches import lend_graph_caches

# before anything here imports PyMC
lend_graph_caches()
