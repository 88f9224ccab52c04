"""What the settings mean for discovery: where to look, and where not."""

from __future__ import annotations

from pathlib import Path

from batch.discover import discover
from batch.listing import DiscoveryRules
from orchestrator.contract.paths import WorkFolder
from orchestrator.settings import Settings


def discovery_rules(settings: Settings, work: WorkFolder) -> DiscoveryRules:
    """Our own folders are never looked into, wherever the user has put them."""
    ours = [str(work.root)]
    if settings.output_dir is not None:
        ours.append(str(settings.output_dir.absolute()))
    return DiscoveryRules(
        extensions=frozenset(settings.extensions),
        include=settings.include,
        exclude=settings.exclude,
        follow_symlinks=settings.follow_symlinks,
        skip_folders=tuple(ours),
    )


def count_media(folder: Path, settings: Settings, work: WorkFolder) -> int:
    """How many files a batch would look at. Raises: Failure, as ``discover`` does."""
    rules = discovery_rules(settings, work)
    return sum(len(listing.media) for listing in discover(str(folder), rules))
