"""The density as a compiled function: the same numbers as `model.py`, many times faster (docs/compiled-density.md).

`model.py` and `likelihoods.py` define the model and stay its only definition. What is here computes that density and
its gradient by hand-written sums, compiled once on a machine: the structure of a model goes in as arrays, not as code.
`tests/inference/test_compiled_density.py` and `test_compiled_cells.py` hold the one against the other;
`coverage.why_not` says which models are not covered.
"""
