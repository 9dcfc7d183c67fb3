"""Digitised curves: reading and checking, the steps of a drawn one, the line behind clicks, and patients from both."""
