"""Constants of the formulas of hazards and densities."""

HALF_LOG_TWO_PI = 0.9189385332046727
"""log(2 pi) / 2, of the normal density and of Stirling's series; the double nearest to it."""
LARGEST_LOG_HAZARD = 700.0
"""A log cumulative hazard is cut off here before it is exponentiated: exp(710) overflows, and survival is zero in any
arithmetic long before."""
