"""Curves that were clicked: patients sampled behind a monotone line."""
