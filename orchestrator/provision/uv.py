"""Finds uv, and hands it the settings that users have written for pip."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator.provision.process import clean_environment


def find_uv() -> Path | None:
    """The uv program: that of the base environment, else one on ``PATH``; ``None`` if neither."""
    try:
        import uv
    except ImportError:
        pass
    else:
        try:
            return Path(uv.find_uv_bin())
        except FileNotFoundError:
            pass
    found = shutil.which("uv")
    return Path(found) if found else None


def installer_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables for uv or pip: the caller's, cleaned, with pip's settings passed on.

    uv reads none of pip's variables, so each that is set here stands in for the one of uv's own
    that the user has not set.
    """
    variables = clean_environment(base)
    variables.update(pip_settings_for_uv(variables))
    variables["UV_NO_PROGRESS"] = "1"
    return variables


def pip_settings_for_uv(variables: Mapping[str, str]) -> dict[str, str]:
    """The uv settings that mean what the ``PIP_*`` variables say; none that the user has set."""
    wanted: dict[str, str] = {}

    def stand_in(value: str | None, name: str, *synonyms: str) -> bool:
        if not value or any(variables.get(known) for known in (name, *synonyms)):
            return False
        wanted[name] = value
        return True

    stand_in(variables.get("PIP_INDEX_URL"), "UV_DEFAULT_INDEX", "UV_INDEX_URL")
    extra = variables.get("PIP_EXTRA_INDEX_URL")
    if stand_in(extra, "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        # pip takes the best version from any index; uv would stop at the first that knows a name.
        stand_in("unsafe-best-match", "UV_INDEX_STRATEGY")
    stand_in(",".join(variables.get("PIP_FIND_LINKS", "").split()), "UV_FIND_LINKS")
    stand_in(variables.get("PIP_CERT"), "SSL_CERT_FILE")
    stand_in(variables.get("PIP_NO_INDEX"), "UV_NO_INDEX")
    return wanted
