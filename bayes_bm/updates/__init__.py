"""How answers move with evidence: what a future study would settle, what changed between results, the same again."""
