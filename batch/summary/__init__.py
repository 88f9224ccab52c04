"""What a run did: counted as it happens, written as ``summary.json``, read again."""

from batch.summary.builder import SummaryBuilder
from batch.summary.model import Overview, Summary, load_summary

__all__ = ["Overview", "Summary", "SummaryBuilder", "load_summary"]
