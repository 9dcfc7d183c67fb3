"""Numerics that families share, in numpy."""
