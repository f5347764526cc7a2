"""The only home of torch training code."""
