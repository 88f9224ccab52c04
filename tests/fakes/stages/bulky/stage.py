"""A stage that makes a film: large enough to be published in several pieces."""

from orchestrator.contract.exchange import StageOutcome

BYTES = 2_500_000


def load(settings):
    """Nothing to keep."""


def run(request, model, report):
    piece = f"{request.settings['title']} {request.input('words').read_text()}".encode()
    request.output("film").write_bytes((piece * (BYTES // len(piece) + 1))[:BYTES])
    return StageOutcome()
