"""One model of all causes: what ties the hazards of several causes together, beside each one's own model."""
