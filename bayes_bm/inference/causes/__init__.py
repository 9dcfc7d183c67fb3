"""Sampling one model of all causes, and its stored result."""
