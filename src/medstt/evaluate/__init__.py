"""From a manifest and a system under test to a report."""
