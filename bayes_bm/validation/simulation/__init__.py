"""Synthetic worlds with recorded truth: parameters from the priors or given, studies, patients, what papers print."""
