"""Decode the audio track that carries the dialogue to 16 kHz mono, on one straight line of time.

``audio.json`` says where that line lies in the media: ``offset`` is the media time of the first
sample, that is, the time a player shows when it is heard.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import av

from orchestrator.contract.atomic import put_json
from orchestrator.contract.errors import fail
from orchestrator.contract.exchange import Clip, StageOutcome, StageRequest
from orchestrator.contract.mediafile import MediaFile, not_media
from orchestrator.contract.report import Report
from orchestrator.stagekit.opening import open_media

from .blanks import Blanks, zero_is_silence
from .claims import Claim, claim
from .extent import LEAST, Loss, audio_info, measure
from .gaps import Timeline, pauses
from .line import BYTES_PER_SAMPLE, SAMPLE_RATE, AudioLine
from .matroska import matroska_head
from .opening import choose_track, clock_of, companions_of, formats_of, length_of, stated_of
from .witness import Neighbours, Witness

_SEEKABLE = frozenset({"matroska", "mov", "mpegts", "asf", "wav", "flac"})
"""Formats whose time stamps are true after a seek. In the others (MP3, AVI, raw streams) they may
be guesses, so a clip is decoded from the beginning."""
_RUN_UPS = (2.0, 30.0)
"""Seconds before a clip at which decoding starts: decoders need some frames to settle, and the
index of some files is coarse. When both turn out too late it starts from the beginning."""

_UNREADABLE = (av.FFmpegError, OSError, ValueError, OverflowError)
"""What PyAV raises over damaged content. A disk that fails is told by ``MediaFile.check``."""
_MOST_REFUSALS = 8
"""Refused reads in a row after which there is nothing more to be had from a file."""
_WHOLE_INDEX = 0.98
"""Share of the samples of an index that edit lists leave."""

_PAST = 1.0
"""Seconds by which sound may outlast what is stated without a doubt about the statement."""
_MOST_OVERLAP = 0.05
"""Of the sound, so much may be left out as there is no time for it: joints, and rounding."""
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 3_072_000
"""Samples per second, with room on both sides of what is made (2,000 to 2,822,400, of DSD). A
damaged header that says 1 would make half a day of a second."""

_LATE_UNSEEN = frozenset({"asf", "avi", "flv", "matroska", "mpeg", "mpegts"})
"""Formats of several tracks, whose sound may begin late; what else there was then is not read."""
_HARDLY_ANY = 0.05
"""A track of which less than this share decodes is encrypted or noise: words in it are chance."""


def load(settings: Mapping[str, Any]) -> None:
    """There is nothing to keep."""


def run(request: StageRequest, model: None, report: Report) -> StageOutcome:
    path = Path(request.media)
    with MediaFile(path) as file:
        try:
            container = open_media(file)
        except _UNREADABLE as error:
            file.check()
            raise not_media(path) from error
        with container, MediaFile(path) as headers:
            decoding = Decoding(path, container, headers, request, report)
            with closing(AudioLine(request.output("audio"))) as line:
                decoding.write(line)
                decoding.look_back()
        file.check()
    return decoding.conclude(line, request.output("audio_info"))


class Decoding:
    """One pass over one track."""

    def __init__(
        self,
        path: Path,
        container: Any,
        headers: BinaryIO,
        request: StageRequest,
        report: Report,
    ) -> None:
        self._path = path
        self._container = container
        self._report = report
        self._clip = request.clip or Clip(0.0)
        self._cut_out = request.clip is not None
        self._most_lost = request.settings["max_loss_percent"] / 100
        self._start = clock_of(container)
        self._duration = length_of(container)
        self._formats = formats_of(container)
        self._stream, self._track = choose_track(path, container, request.language)
        self._headers = headers
        self._claim = self._claimed()
        ends = self._claim.last
        self._timeline = Timeline(
            may_be_cut="mpegts" in self._formats,
            end=None if ends is None else max(ends, self._duration or 0.0),
        )
        self._beside = companions_of(container, self._stream)
        sound_alone = "matroska" in self._formats and self._beside.pictures is None
        self._witness = Witness()
        self._neighbours = Neighbours(sound_alone and matroska_head(headers).start is not None)
        self._blanks = Blanks(self._track.codec, self._formats)
        self._errors = 0
        self._damaged: list[float] = []
        self._torn = False
        self._offset: float | None = None
        self._end = 0.0

    def _claimed(self, begins: float | None = None) -> Claim:
        found = claim(self._headers, stated_of(self._container, self._stream, begins))
        if found.indexed and not zero_is_silence(self._track.codec):
            # An index that was damaged can be used in part only, and so states a part.
            whole = len(self._stream.index_entries) >= _WHOLE_INDEX * self._stream.frames
            return found._replace(verified=found.verified and whole)
        return found

    def write(self, line: AudioLine) -> None:
        """Decode into ``line``; damaged packets are counted and left out."""
        total = None
        if self._claim.last is not None:
            end = min(self._claim.last, self._clip.end or self._claim.last)
            total = max(0.0, end - max(self._claim.first, self._clip.start))
        resampler: av.AudioResampler | None = None
        form: tuple[Any, ...] = ()
        position = 0
        for frame in self._frames_from(self._clip.start if self._cut_out else None):
            if not frame.samples:
                continue
            if not _LOWEST_RATE <= frame.sample_rate <= _HIGHEST_RATE:
                self._errors += 1
                continue
            time = None if frame.time is None else frame.time - self._start
            seconds = frame.samples / frame.sample_rate
            placement = self._timeline.place(
                time, seconds, torn=self._torn, joined=self._neighbours.joined
            )
            self._torn = False
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
            self._end = placement.time + seconds
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
        try:
            pieces = resampler.resample(frame)
        except _UNREADABLE:  # a damaged packet became a frame of a form that cannot be
            self._errors += 1
            return position
        for piece in pieces:
            data = bytes(piece.planes[0])[: piece.samples * BYTES_PER_SAMPLE]
            line.put(position, data)
            position += piece.samples
        return position

    def look_back(self) -> None:
        """Read the claim again if the sound began later than where FFmpeg looked for its start.

        It was never any earlier where nothing before it was damaged and the pictures went on.
        """
        start, time = max(self._claim.first, self._clip.start), self._offset
        if self._claim.indexed or time is None or time <= start + LEAST:
            return
        if any(damaged < time for damaged in self._damaged):
            return
        if self._beside.pictures is None:
            late = not self._formats.isdisjoint(_LATE_UNSEEN)
        else:
            late = self._witness.covers(start, time)
        if late:
            self._claim = self._claimed(begins=time)

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
        except _UNREADABLE:
            self._errors += 1

    def _frames(self) -> Generator[Any, None, None]:
        for packet in self._packets():
            self._report.check_cancelled()
            if packet.stream_index != self._stream.index:
                self._note_companion(packet)
                continue
            if self._blanks.damaged(packet, self._time_of):
                self._note_damage(packet)
                continue
            self._neighbours.saw(packet)
            try:
                yield from packet.decode()
            except _UNREADABLE:
                self._note_damage(packet)

    def _packets(self) -> Generator[Any, None, None]:
        """Packets of the track and those beside it; what cannot be read is stepped over."""
        wanted = [self._stream, *self._beside.cues]
        if self._beside.pictures is not None:
            wanted.append(self._beside.pictures)
        packets, refused = self._container.demux(wanted), 0
        while refused < _MOST_REFUSALS:
            try:
                packet = next(packets, None)
            except IndexError:
                # PyAV knows no tracks that turn up later: this packet is of such a one.
                packets = self._container.demux(wanted)
                continue
            except _UNREADABLE:
                self._errors += 1
                refused += 1
                packets = self._container.demux(wanted)
                continue
            if packet is None:
                return
            refused = 0
            yield packet

    def _note_companion(self, packet: Any) -> None:
        time = self._time_of(packet)
        if time is None:
            return
        if packet.stream.type == "video":
            self._witness.saw_picture(time)
        else:
            length = float(packet.duration * packet.time_base) if packet.duration else 0.0
            self._witness.saw_cue(time, time + length)

    def _note_damage(self, packet: Any) -> None:
        self._errors += 1
        self._torn = True
        time = self._time_of(packet)
        if time is not None:
            self._damaged.append(time)

    def _time_of(self, packet: Any) -> float | None:
        """Media time of a packet."""
        stamp = packet.pts
        return None if stamp is None else float(stamp * packet.time_base) - self._start

    def conclude(self, line: AudioLine, info: Path) -> StageOutcome:
        """Write ``audio.json`` and report what was lost.

        Raises: Failure ``no_audio_decoded``, ``audio_mostly_missing``.
        """
        decoded, duration = line.decoded / SAMPLE_RATE, line.written / SAMPLE_RATE
        said, end = self._said(line)
        loss = self._loss(decoded, said, end)
        self._judge(decoded, loss)
        if self._timeline.cuts:
            self._report.warning(
                "time_jumps",
                f"The file's clock jumps at {len(self._timeline.cuts)} places: players may show"
                " subtitles after these at the wrong time.",
            )
        put_json(
            info,
            audio_info(
                offset=self._offset or 0.0,
                duration=duration,
                sample_rate=SAMPLE_RATE,
                stream=self._track.index,
                language=self._track.language,
                gaps=self._timeline.gaps,
                cuts=self._timeline.cuts,
                loss=loss,
                length_verified=said.verified,
                damaged_packets=self._errors,
                container_duration=self._duration,
            ),
        )
        facts = {
            "audio_seconds": round(duration, 3),
            "track_language": self._track.language,
            "length_verified": said.verified,
            **loss.facts(),
        }
        return StageOutcome(
            facts,
            {
                "decoded_seconds": decoded,
                "lost_seconds": loss.seconds,
                "damaged_packets": self._errors,
            },
        )

    def _said(self, line: AudioLine) -> tuple[Claim, float]:
        """What the file claims in the light of what was in it, and where its sound ended."""
        said, end, cut = self._claim, self._end, bool(self._timeline.cuts)
        # Of a file that was joined from others, what is stated is said of one of them.
        verified = said.verified and not cut and end <= (said.last or end) + _PAST
        # More sound than there is time for it: the clock is wrong, and so is what it measures.
        verified = verified and line.overlapped <= _MOST_OVERLAP * line.decoded
        verified = verified and not self._blanks.open_end
        if cut:  # what is stated holds in sum; nothing is where it says
            said = said._replace(first=max(0.0, min(said.first, self._timeline.earliest)))
            end = min(end, said.last) if said.last is not None and said.verified else end
        if line.full and self._clip.end is not None:
            end = self._clip.end
        if said.last is not None:
            others = not said.own and self._witness.cues_reach(end, said.last)
            pause = not said.own and self._witness.follow(end, said.last)
            verified = verified and not others
            if others or pause or (cut and not said.verified):  # by another clock
                said = said._replace(last=None)
        return said._replace(verified=verified), end

    def _loss(self, decoded: float, said: Claim, end: float) -> Loss:
        gaps, meant = self._timeline.gaps, []
        if not self._timeline.cuts:
            meant = pauses(
                gaps,
                self._damaged,
                indexed=said.indexed,
                witness=self._witness,
                joined=self._timeline.joined,
            )
        return measure(
            said,
            self._clip,
            decoded=decoded,
            heard=(self._offset or 0.0, end),
            holes=[gap for gap in gaps if gap not in meant],
            pauses=meant,
            blank=self._blanks.holes,
        )

    def _judge(self, decoded: float, loss: Loss) -> None:
        if decoded == 0 or (self._errors and decoded < _HARDLY_ANY * loss.expected):
            where = " in the part asked for" if self._cut_out else ""
            raise fail(
                "no_audio_decoded",
                f"{self._path}: no audio could be decoded{where} ({self._errors} damaged packets).",
                "Check the times asked for."
                if self._cut_out
                else "The file is damaged or encrypted: check that it plays with sound.",
            )
        if not loss.matters:
            return
        if loss.share > self._most_lost:
            raise fail(
                "audio_mostly_missing",
                f"{self._path}: {loss.told()} ({self._errors} damaged packets).",
                "Copy or download the file again; to have subtitles of what is left, raise"
                " stages.demux.max_loss_percent.",
            )
        self._report.warning(
            "audio_incomplete",
            f"{loss.told()} ({self._errors} damaged packets). Subtitles are missing there.",
        )
