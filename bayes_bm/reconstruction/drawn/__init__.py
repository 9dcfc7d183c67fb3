"""Curves read from vector graphics: patients solved exactly on a lattice of counts."""
