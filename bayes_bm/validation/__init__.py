"""Validation of the method, not of an answer: simulated worlds, known answers, calibration."""
