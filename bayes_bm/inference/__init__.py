"""Spec and evidence to a posterior: samplers, gate, imputations, result."""
