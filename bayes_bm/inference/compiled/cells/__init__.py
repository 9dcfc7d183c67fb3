"""The compiled density of every family: evidence as rows about cells, an arm at one time under the same covariates.

docs/compiled-density.md says how it works; Weibull models of alike patients have a faster one (`compiled/kernel.py`).
"""
