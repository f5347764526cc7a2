"""Recordings of the user's own made into checked manifests: import, check, split, report."""

from medstt.data.check import CheckOptions, CheckResult, Issue, check_manifest
from medstt.data.importer import ImportOptions, import_source
from medstt.data.mapping import Mapping, read_mapping
from medstt.data.rule import Rules, read_rules
from medstt.data.split import SplitOptions, split_utterances

__all__ = [
    "CheckOptions",
    "CheckResult",
    "ImportOptions",
    "Issue",
    "Mapping",
    "Rules",
    "SplitOptions",
    "check_manifest",
    "import_source",
    "read_mapping",
    "read_rules",
    "split_utterances",
]
