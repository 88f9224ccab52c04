"""A picture of a run as one HTML page, ``runs/<run id>/timeline.html``."""
