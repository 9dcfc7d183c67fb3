"""From a figure to its curves: a vector file or a picture is read into arms, censor marks and numbers at risk."""
