"""Tables of evidence: columns, cells, rules of a row, links between tables."""
