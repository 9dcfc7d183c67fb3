"""Modifiers of a family: cure, background mortality, averaging over covariates, an unknown clock."""
