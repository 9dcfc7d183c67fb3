"""Sections of the report: each gives a record of computed tables and words, laid out by `templates/sections/`."""
