"""Fetches files of a hub repository; runs in the ``hub`` environment, by its path.

``PYTHON -I hub_child.py REPOSITORY REVISION FOLDER ANSWER FILE...`` takes each file from the
user's hub cache if it is there, else fetches it into FOLDER, and writes their paths to ANSWER as
JSON. huggingface_hub itself honours HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(repository: str, revision: str, folder: str, answer: str, *files: str) -> int:
    """Exit status 0 when every file is there, 1 with the reason on standard error otherwise."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    paths: dict[str, str] = {}
    for file in files:
        cached = try_to_load_from_cache(repository, file, revision=revision)
        if isinstance(cached, str):
            paths[file] = cached
            continue
        try:
            paths[file] = hf_hub_download(
                repository, file, revision=revision, local_dir=Path(folder)
            )
        except Exception as error:  # whatever it is, the next source is tried
            reason = " ".join(str(error).split())
            print(f"{file}: {type(error).__name__}: {reason}", file=sys.stderr)
            return 1
    Path(answer).write_text(json.dumps(paths), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
