"""Checks of an answer: reconciliation, replicates, left-out studies, splits, sensitivity."""
