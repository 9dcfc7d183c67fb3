"""Computed tables + axes -> axes. Drawing computes nothing and knows no model; every number drawn is a cell of its table."""
