#!/bin/sh
# Makes subtitles: run_batch.sh [FOLDER] [OPTIONS]. Without arguments it works on samples/.
# Finds a Python; run_batch.py, beside this file, makes the base environment and runs the batch.
set -u

script=$0
while [ -L "$script" ]; do
    target=$(readlink "$script")
    case $target in
        /*) script=$target ;;
        *) script=$(dirname -- "$script")/$target ;;
    esac
done
case $script in
    */*) here=${script%/*} ;;
    *) here=. ;;
esac
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH

python=$here/.venv/bin/python
if [ -f "$here/.venv/ready" ] && [ -x "$python" ]; then
    exec "$python" "$here/run_batch.py" "$@"
fi
# A name on PATH may be a shim that starts nothing: what counts is that it runs.
for python in python3.13 python3.12 python3.11 python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$python" "$here/run_batch.py" "$@"
    fi
done
if command -v uv >/dev/null; then
    uv python find --system --quiet '>=3.11' >/dev/null 2>&1 || uv python install 3.13 >&2
    if python=$(uv python find --system '>=3.11'); then
        exec "$python" "$here/run_batch.py" "$@"
    fi
fi
cat >&2 <<'END'
error: no Python 3.11 or later was found
  what to do: install Python (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew
  install python; or https://www.python.org/downloads/) or uv (https://docs.astral.sh/uv/), then
  run this again.
END
exit 4
