"""Files named like media that ask whoever opens them to open something else.

Playlists, scripts, manifests, reference movies and link files, each under many extensions, each
pointing once at a server and once at another file of this machine.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

EXTENSIONS = ("mkv", "mp4", "mov", "ts", "avi", "wmv", "mp3", "wav", "flac", "ogg", "m4a", "webm")


class Trap:
    """A server and a file that nobody has any business with.

    The file's sound is loud, so that it can be heard in whatever is made of a lure; when the system
    keeps the time of the last access, that is looked at as well.

    Attributes:
        server: ``host:port``.
        canary: the file.
    """

    def __init__(self, folder: Path) -> None:
        self.canary = folder / "canary.wav"
        with wave.open(str(self.canary), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(struct.pack("<8h", *([20_000] * 4 + [-20_000] * 4)) * 5000)
        self._hits: list[str] = []
        self._set_unread()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.server = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, name="trap", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:  # closed
                return
            with caller:
                caller.settimeout(1)
                self._hits.append(f"the server was asked: {caller.recv(100)!r}")

    def look_at(self, lure: str, sounding: float) -> None:
        """``sounding``: seconds of sound that came out of that lure, which has none of its own."""
        if sounding > 0:
            self._hits.append(f"{lure}: {sounding} s of sound")
        if os.stat(self.canary).st_atime_ns:
            self._hits.append(f"{lure}: the other file was read")
            self._set_unread()

    def _set_unread(self) -> None:
        # Also where times of access are kept roughly, one before the last change is moved on.
        os.utime(self.canary, ns=(0, time.time_ns()))

    def hits(self) -> list[str]:
        return list(self._hits)

    def __enter__(self) -> Trap:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing alone would not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def lures(
    server: str, canary: Path, extensions: Sequence[str] = EXTENSIONS
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file. ``server``: ``host:port``; ``canary``: the file to reach."""
    for extension in extensions:
        for kind, content in _contents(server, canary):
            yield f"{kind}.{extension}", content


def _contents(server: str, canary: Path) -> Iterator[tuple[str, bytes]]:
    web = f"http://{server}/lure"
    for where, target in (("web", web), ("file", str(canary)), ("url", f"file://{canary}")):
        for kind, text in _texts(target).items():
            yield f"{kind}-{where}", text.encode()
        yield f"reference-movie-{where}", _reference_movie(target.encode())
        yield f"external-data-{where}", _external_data(target.encode())


def _texts(target: str) -> dict[str, str]:
    return {
        "concat": f"ffconcat version 1.0\nfile '{target}'\n",
        "concat-options": f"ffconcat version 1.0\nfile '{target}'\noption safe 0\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
        "hls-key": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n"
        f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n',
        "hls-map": f'#EXTM3U\n#EXT-X-MAP:URI="{target}"\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n',
        "hls-concat": "#EXTM3U\n#EXTINF:10,\nconcat:"
        + target
        + "|"
        + target
        + "\n#EXT-X-ENDLIST\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT10S"><Period><AdaptationSet mimeType="audio/mp4">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>",
        "imf": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "' + target + '">]>'
        '<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM">&e;</AssetMap>',
        "smil": f'<smil><body><seq><audio src="{target}"/></seq></body></smil>',
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
        "xspf": f"<playlist><trackList><track><location>{target}</location></track></trackList>"
        "</playlist>",
        "pls": f"[playlist]\nNumberOfEntries=1\nFile1={target}\n",
        "strm": f"{target}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"a=control:{target}\nm=audio 5004 RTP/AVP 0\n",
        "reference-text": f"[Reference]\nRef1={target}\nRef2={target}\n",
        "rtsp-text": f"RTSPtext\n{target}\n",
        "cue": f'FILE "{target}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "ffmeta": f";FFMETADATA1\ntitle={target}\n",
        "avs": f'DirectShowSource("{target}")\n',
    }


def _atom(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


def _reference_movie(target: bytes) -> bytes:
    """QuickTime's ``rmra``: a movie that only says where the movie is."""
    reference = _atom(
        b"rdrf", bytes(4), b"url ", struct.pack(">I", len(target) + 1), target + b"\0"
    )
    return _atom(b"ftyp", b"qt  ", bytes(4), b"qt  ") + _atom(
        b"moov", _atom(b"rmra", _atom(b"rmda", reference))
    )


def _external_data(target: bytes) -> bytes:
    """A sound track whose samples lie elsewhere: ``dref`` entries of types ``url`` and ``alis``."""
    url = _atom(b"url ", bytes(4), target + b"\0")
    alias = _atom(
        b"alis", bytes(4), bytes(150), b"\x00\x12", struct.pack(">H", len(target)), target
    )
    data = _atom(b"dinf", _atom(b"dref", bytes(4), struct.pack(">I", 2), url, alias))
    sound = _atom(
        b"sowt",
        bytes(6) + struct.pack(">H", 1),
        bytes(8),
        struct.pack(">HHHHI", 1, 16, 0, 0, 8000 << 16),
    )
    table = _atom(
        b"stbl",
        _atom(b"stsd", bytes(4), struct.pack(">I", 1), sound),
        _atom(b"stts", bytes(4), struct.pack(">III", 1, 8000, 1)),
        _atom(b"stsc", bytes(4), struct.pack(">IIII", 1, 1, 8000, 1)),
        _atom(b"stsz", bytes(4), struct.pack(">II", 2, 8000)),
        _atom(b"stco", bytes(4), struct.pack(">II", 1, 0)),
    )
    media = _atom(
        b"mdia",
        _atom(b"mdhd", bytes(12), struct.pack(">II", 8000, 8000), bytes(4)),
        _atom(b"hdlr", bytes(8), b"soun", bytes(12), b"\0"),
        _atom(b"minf", _atom(b"smhd", bytes(8)), data, table),
    )
    header = _atom(b"mvhd", bytes(12), struct.pack(">II", 8000, 8000), bytes(80))
    track = _atom(b"trak", _atom(b"tkhd", bytes(84)), media)
    return _atom(b"ftyp", b"qt  ", bytes(4), b"qt  ") + _atom(b"moov", header, track)
