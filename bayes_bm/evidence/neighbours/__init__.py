"""Tables of other programs to those of this package, and evidence of a spec to tables and lines of R."""
