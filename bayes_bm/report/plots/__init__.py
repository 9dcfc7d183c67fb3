"""Computed tables + axes -> axes, and tables -> text and HTML.

Drawing computes nothing and knows no model: every number drawn or written is a cell of a table made elsewhere.
"""
