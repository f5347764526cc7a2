"""Medical terms: lexicons, search, spotting, bias phrases, the hold-out rule."""
