"""A second stage, to see what is handed from one to the next."""

from orchestrator.contract.exchange import StageOutcome


def load(settings):
    """Nothing to keep."""


def run(request, model, report):
    assert request.input("bulk").stat().st_size == 4096
    words = request.input("words").read_text()
    greeting = f"{request.settings['greeting']} {request.facts['language']}"
    request.output("copy").write_text(f"{greeting}\n{words}")
    return StageOutcome()
