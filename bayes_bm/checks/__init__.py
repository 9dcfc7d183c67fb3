"""Checks that come with every answer: the audit before a fit, reconciliation and predictive checks after it."""
