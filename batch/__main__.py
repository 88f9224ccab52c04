"""``python -m batch`` is ``batch-subtitles``."""

import sys

from batch.cli import main

sys.exit(main())
