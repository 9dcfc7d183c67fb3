"""What the evidence means: design, likelihoods, linear predictor, PyMC graph."""
