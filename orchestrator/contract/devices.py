"""Devices by the names that settings and leases give them: ``cpu``, ``cuda:1``, ``mps``."""

from __future__ import annotations

from collections.abc import Mapping


def kind_of(device: str) -> str:
    """What a process that sees this device alone calls it: ``cuda:1`` is its ``cuda``."""
    return device.partition(":")[0]


def visible_to(device: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for a process that is to see ``device`` alone.

    The index counts devices in the order of the PCI bus, among those that we may see ourselves.
    """
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return {}
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    entries = [] if wanted is None else [part.strip() for part in wanted.split(",")]
    place = int(index or 0)
    entry = entries[place] if place < len(entries) else str(place)
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": entry}
