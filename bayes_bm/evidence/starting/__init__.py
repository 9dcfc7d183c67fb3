"""A first analysis: what a table of patients shows, and a commented spec with tables that runs as it is."""
