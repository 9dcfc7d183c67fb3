"""Covariates of arms and patients: integration points, missing values, case mix."""
