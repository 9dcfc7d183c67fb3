"""The model as a PyMC graph: the definition that the compiled density is held against."""
