"""Secrets among environment variables: who needs none gets none, and what is told shows none.

Jobs and stages work on local files, without a network. What they print, or what a library of theirs
dumps when it fails, ends in logs that people attach to reports; so they start without the variables
in which secrets usually are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

_WORDS = frozenset(
    {
        *("TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE"),
        *("PASS", "CREDENTIAL", "CREDENTIALS", "AUTH", "COOKIE", "KEY", "KEYS", "APIKEY", "PAT"),
    }
)
"""Of these words, between underscores, the names of such variables consist in practice."""

_ENDINGS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "APIKEY")
_HUB_TOKEN = "hf_"
_SHORTEST = 8
"""Characters. What is shorter could be any word of a message."""

MASK = "***"


def is_secret(name: str, value: str) -> bool:
    """Whether this variable holds a secret, by its name or by how its value looks.

    A proxy or a package index whose address has a user and password in it counts.
    """
    upper = name.upper()
    if not _WORDS.isdisjoint(upper.split("_")) or upper.endswith(_ENDINGS):
        return True
    if value.startswith(_HUB_TOKEN) or ("@" in value and upper.endswith("PROXY")):
        return True
    return bool(_logins(value))


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that hold no secret."""
    return {name: value for name, value in environ.items() if not is_secret(name, value)}


def secret_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown, the longest first: values of secret variables, logins of addresses.

    A value that is the path of something (a token file, an agent's socket) is no secret; one in
    base64 may look like a path.
    """
    found: set[str] = set()
    for name, value in environ.items():
        if is_secret(name, value):
            found.update(_logins(value) or [value])
    hidden = (one for one in found if len(one) >= _SHORTEST and not _is_path(one))
    return tuple(sorted(hidden, key=len, reverse=True))


def _is_path(value: str) -> bool:
    return value.startswith("/") and os.path.lexists(value)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` with these secrets hidden, and the login of every address."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    for login in _logins(text):
        text = text.replace(f"://{login}@", f"://{MASK}@")
    return text


def _logins(text: str) -> list[str]:
    """What stands between ``://`` and the last ``@`` before a slash or a blank."""
    found = []
    for part in text.split("://")[1:]:
        words = part.partition("/")[0].split()
        login, at, _ = words[0].rpartition("@") if words else ("", "", "")
        if at and login:
            found.append(login)
    return found
