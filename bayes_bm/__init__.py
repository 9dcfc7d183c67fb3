"""Bayesian survival evidence synthesis."""
