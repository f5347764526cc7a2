"""When to retrain and what may be promoted."""
