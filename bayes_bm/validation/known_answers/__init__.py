"""Published and closed-form answers, recomputed here."""
