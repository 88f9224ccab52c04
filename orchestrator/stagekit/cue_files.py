"""``cues.json`` in, and what every translating stage makes of it out: cues, SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.errors import fail
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.languages import normalise
from orchestrator.contract.report import Report
from orchestrator.stagekit.cue_translation import Rules, Script, Translated
from orchestrator.stagekit.subtitle_formats import cues_from_json, cues_to_json, srt, vtt


class CueJob:
    """One translation of one file: from what language to which, and the cues."""

    def __init__(self, request: StageRequest) -> None:
        """Raises: Failure ``language_unknown``."""
        self._request = request
        data = read_json(request.input("cues"))
        self.source = _code(str(request.facts.get("language") or data["language"]))
        self.target = _code(str(request.settings["target"]))
        self.cues = cues_from_json(data)
        settings = request.settings
        self.rules = Rules(settings["max_line_length"], settings["max_lines"])

    def script(self) -> Script:
        return Script(self.cues, self.rules)

    def without_model(self, report: Report) -> StageOutcome | None:
        """The answer where there is nothing to translate, else None.

        The language of a file without speech is a guess, and need not be one that a model knows.
        """
        if self.cues and self.source != self.target:
            return None
        if self.cues:
            report.warning(
                "translation_not_needed",
                f"The speech is in the language {self.target} already: its subtitles were copied.",
            )
        lines = [cue.lines for cue in self.cues]
        self._write(lines, f"Made by batch-subtitles (language {self.target}, not translated).")
        return StageOutcome(metrics={"cues": len(lines)})

    def write(self, translated: Translated, model: str, report: Report) -> StageOutcome:
        """Write the outputs, and tell of cues that stayed as they were."""
        if translated.untranslated:
            report.warning(
                "translation_incomplete",
                f"{translated.untranslated} of {len(self.cues)} cues are left in the language "
                f"{self.source}: the model gave nothing that could be used for them.",
            )
        note = (
            f"Made by batch-subtitles: translated from {self.source} to {self.target}"
            f" by a machine (model {model})."
        )
        self._write(translated.lines, note)
        return StageOutcome(
            metrics={
                "cues": len(self.cues),
                "sentences": translated.units,
                "sentences_retried": translated.retried,
                "cues_untranslated": translated.untranslated,
            }
        )

    def _write(self, lines: Sequence[Sequence[str]], note: str) -> None:
        cues = [replace(cue, lines=tuple(own)) for cue, own in zip(self.cues, lines, strict=True)]
        put_json(self._request.output("cues"), cues_to_json(cues, self.target))
        # Subtitle files are in the time of the media, everything before them in that of the audio.
        offset = read_json(self._request.input("audio_info"))["offset"]
        shown = [cue.shifted(offset) for cue in cues]
        self._request.output("srt").write_bytes(srt(shown).encode("utf-8", "replace"))
        self._request.output("vtt").write_bytes(vtt(shown, note).encode("utf-8", "replace"))


def _code(language: str) -> str:
    code = normalise(language)
    if code is None:
        raise fail(
            "language_unknown",
            f"{language!r} is no language that this program knows.",
            "Use an ISO 639-1 code, such as en, de or pt.",
        )
    return code
