"""Decode the audio track that carries the dialogue to 16 kHz mono, on one straight line of time.

``audio.json`` says where that line lies in the media: ``offset`` is the media time of the first
sample, that is, the time a player shows when it is heard.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import av
from av.stream import Discard

from orchestrator.contract.atomic import write_json
from orchestrator.contract.errors import fail
from orchestrator.contract.exchange import Clip, StageOutcome, StageRequest
from orchestrator.contract.media import AudioTrack, choose_audio
from orchestrator.contract.mediafile import (
    OPEN_OPTIONS,
    MediaFile,
    no_audio_track,
    not_media,
    refuse_other_files,
)
from orchestrator.contract.report import Report
from orchestrator.contract.tracks import audio_track

from .extent import Extent, audio_info, stated_end
from .gaps import Timeline
from .line import BYTES_PER_SAMPLE, SAMPLE_RATE, AudioLine

_SEEKABLE = frozenset({"matroska", "mov", "mpegts", "asf", "wav", "flac"})
"""Formats whose time stamps are true after a seek. In the others (MP3, AVI, raw streams) they may
be guesses, so a clip is decoded from the beginning."""
_RUN_UPS = (2.0, 30.0)
"""Seconds before a clip at which decoding starts: decoders need some frames to settle, and the
index of some files is coarse. When both turn out too late it starts from the beginning."""

_HARDLY_ANY = 0.05
"""A track of which less than this share decodes is encrypted or noise: words in it are chance."""


def load(settings: Mapping[str, Any]) -> None:
    """There is nothing to keep."""


def run(request: StageRequest, model: None, report: Report) -> StageOutcome:
    path = Path(request.media)
    with MediaFile(path) as file:
        try:
            container = av.open(file, "r", io_open=refuse_other_files, **OPEN_OPTIONS)
        except (av.FFmpegError, ValueError) as error:
            file.check()
            raise not_media(path) from error
        with container:
            decoding = Decoding(path, container, request, report)
            with closing(AudioLine(request.output("audio"))) as line:
                decoding.write(line)
        file.check()
    return decoding.conclude(line, request.output("audio_info"))


class Decoding:
    """One pass over one track."""

    def __init__(self, path: Path, container: Any, request: StageRequest, report: Report) -> None:
        self._path = path
        self._container = container
        self._report = report
        self._clip = request.clip or Clip(0.0)
        self._cut_out = request.clip is not None
        self._start = (container.start_time or 0) / av.time_base
        self._duration = container.duration / av.time_base if container.duration else None
        self._formats = frozenset(container.format.name.split(","))
        self._stream, self._track = self._choose(request.language)
        self._timeline = Timeline(may_be_cut="mpegts" in self._formats)
        self._extent = self._claimed()
        self._errors = 0
        self._offset: float | None = None

    def _choose(self, language: str | None) -> tuple[Any, AudioTrack]:
        tracks = [
            audio_track(
                stream.index,
                stream.codec_context.name if stream.codec_context else "unknown",
                stream.metadata,
                [flag.name for flag in stream.disposition],
                channels=stream.codec_context.channels if stream.codec_context else 0,
            )
            for stream in self._container.streams.audio
        ]
        track = choose_audio(tracks, [language] if language else [])
        if track is None:
            raise no_audio_track(self._path)
        stream = self._container.streams[track.index]
        if stream.codec_context is None:
            raise fail(
                "codec_unknown",
                f"{self._path}: no decoder is known for audio track {track.index}.",
                "It is encrypted or in a rare format: convert the file, or exclude it.",
            )
        for other in self._container.streams:
            if other.index != track.index:
                other.discard = Discard.all
        return stream, track

    def _claimed(self) -> Extent:
        stream, base = self._stream, float(self._stream.time_base)
        first = 0.0 if stream.start_time is None else stream.start_time * base - self._start
        first = max(0.0, first)
        last = stated_end(
            first,
            stream.duration * base if stream.duration else None,
            stream.metadata.get("DURATION"),
            self._duration,
        )
        return Extent(self._clip, first, last)

    def write(self, line: AudioLine) -> None:
        """Decode into ``line``; damaged packets are counted and left out."""
        total = self._extent.expected
        resampler: av.AudioResampler | None = None
        form: tuple[Any, ...] = ()
        position = 0
        for frame in self._frames_from(self._clip.start if self._cut_out else None):
            self._report.check_cancelled()
            time = None if frame.time is None else frame.time - self._start
            placement = self._timeline.place(time, frame.samples / frame.sample_rate)
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if placement.fresh or now != form:
                if resampler is not None:
                    position = self._resample(line, resampler, None, position)
                resampler, form = av.AudioResampler("s16", "mono", SAMPLE_RATE), now
                if self._offset is None:
                    self._offset = self._begin(line, placement.time)
                position = round((placement.time - self._offset) * SAMPLE_RATE)
            if line.full:
                return
            frame.pts = None  # the line keeps the time; the resampler shall not
            assert resampler is not None
            position = self._resample(line, resampler, frame, position)
            self._report.progress(line.written / SAMPLE_RATE, total)
        if resampler is not None:
            self._resample(line, resampler, None, position)

    def _begin(self, line: AudioLine, time: float) -> float:
        """The line begins at the clip's start, or with the first sound where that is later."""
        offset = max(self._clip.start, time) if self._cut_out else time
        if self._clip.end is not None:
            line.limit = round((self._clip.end - offset) * SAMPLE_RATE)
        return offset

    def _resample(self, line: AudioLine, resampler: Any, frame: Any, position: int) -> int:
        for piece in resampler.resample(frame):
            data = bytes(piece.planes[0])[: piece.samples * BYTES_PER_SAMPLE]
            line.put(position, data)
            position += piece.samples
        return position

    def _frames_from(self, start: float | None) -> Iterator[Any]:
        """Decoded frames; with a ``start`` from before that time on, as near as is safe."""
        if not start or self._formats.isdisjoint(_SEEKABLE):
            yield from self._frames()
            return
        for run_up in _RUN_UPS:
            self._seek(start - run_up)
            frames = self._frames()
            first = next(frames, None)
            if first is not None and first.time is not None and first.time <= start + self._start:
                yield first
                yield from frames
                return
            frames.close()
        self._seek(0.0)
        yield from self._frames()

    def _seek(self, time: float) -> None:
        target = max(0.0, time) + self._start
        try:
            self._container.seek(round(target * av.time_base))
        except av.FFmpegError:
            self._errors += 1

    def _frames(self) -> Generator[Any, None, None]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                # What follows cannot be found any more: the loss is measured afterwards.
                self._errors += 1
                return
            if packet is None:
                return
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self._errors += 1

    def conclude(self, line: AudioLine, info: Path) -> StageOutcome:
        """Write ``audio.json`` and report what was lost. Raises: Failure ``no_audio_decoded``."""
        decoded, duration = line.decoded / SAMPLE_RATE, line.written / SAMPLE_RATE
        loss = self._extent.lost(decoded)
        if decoded == 0 or (self._errors and decoded < _HARDLY_ANY * loss.expected):
            where = " in the part asked for" if self._cut_out else ""
            raise fail(
                "no_audio_decoded",
                f"{self._path}: no audio could be decoded{where} ({self._errors} damaged packets).",
                "Check the times asked for."
                if self._cut_out
                else "The file is damaged or encrypted: check that it plays with sound.",
            )
        if loss.matters:
            self._report.warning(
                "audio_incomplete",
                f"{loss.seconds:.1f} s of {loss.expected:.1f} s of audio are missing from the file"
                f" ({self._errors} damaged packets): subtitles will be missing there.",
            )
        if self._timeline.cuts:
            self._report.warning(
                "time_jumps",
                f"The file's clock jumps at {len(self._timeline.cuts)} places: players may show"
                " subtitles after these at the wrong time.",
            )
        offset = self._offset or 0.0
        write_json(
            info,
            audio_info(
                offset=offset,
                duration=duration,
                sample_rate=SAMPLE_RATE,
                stream=self._track.index,
                language=self._track.language,
                gaps=self._timeline.gaps,
                cuts=self._timeline.cuts,
                loss=loss,
                damaged_packets=self._errors,
                container_duration=self._duration,
            ),
        )
        facts = {"audio_seconds": round(duration, 3), "track_language": self._track.language}
        return StageOutcome(facts, {"decoded_seconds": decoded, "lost_seconds": loss.seconds})
