"""Hazard families, one file each."""
