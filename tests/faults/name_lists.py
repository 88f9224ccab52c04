"""Names that hurt: a list of what programs are known to stumble over, and any bytes at all.

Each is the stem of a media file, as bytes: without the separator and NUL, which no name can have.
"""

from __future__ import annotations

import itertools
import unicodedata

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

LONGEST_STEM = 248
"""Bytes of a stem that leave room for ``.en.srt`` within 255."""


def _words(text: str) -> list[str]:
    return text.split()


_SHELL = _words("""
-rf --help -y -i -map - -- -version --work-dir=x @argfile ;reboot;.sh $(reboot) `reboot` $HOME
${IFS}
|cat &bg& >out <in 2>&1 a&&b a||b a;b !history !! * ? ?? [a-z] [!a] {a,b} {} {0} {name}
{0.__class__}
~ ~root $$ $0 %s %n%n%n %d %(name)s %PATH% %00 %0a %2e%2e ^c \\ \\\\ \\n \\x1b \\u202e '' ' " ' '' `
# #comment a#b ## =cmd|'!A0 +1+1 -1+1 @SUM(1) =HYPERLINK("x") C:evil a:b
\\\\server\\share ..\\..\\up
""")

_PROTOCOLS = _words("""
http:host https:host file: file:x concat:a|b subfile:,,start,0,end,0,,:x pipe:0 pipe: data:,
cache:x crypto:x tcp:host rtmp:host md5: tee: async:x ffrtmpcrypt: gopher: unix:x fd:0 concatf:x
%03d img%05d
glob*.x lavfi testsrc anullsrc playlist.m3u8 x.ffconcat [out] [0:a] 0:v:0 amovie=x subtitles=x,y=1
""")

_RESERVED = _words("""
CON PRN AUX NUL COM1 COM9 LPT1 con nul.txt aux. CLOCK$ desktop Thumbs lost+found System @eaDir
#recycle Icon core null None NaN Infinity undefined true false 0 -0 1e999 0x7f __proto__ constructor
__init__ __class__ id_rsa passwd index.html robots latest-job batch.db coordinator.lock job.json
""")

_MARKUP = (
    "<script>alert(1)</script>".replace("/", "\\"),
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)",
    "<bdi><!--",
    "--><b>",
    "]]><x>",
    "&lt;&#60;&amp;",
    "&#x202e;",
    "javascript:alert(1)",
    "<title><style>*{display:none}",
    "{\\an8}{\\pos(0,0)}",
    "00:00:00,000 --> 00:00:09,000",
    "1\n00:00:00,000 --> 00:00:09,000\nforged",
    "WEBVTT\n\nNOTE x",
    '{"v":1,"event":"file_finished"}',
    '","status":"done","x":"',
    "\\",
    '\\"',
    "[bold]x[\\bold]",
    "[link=file:x]y",
    "[x]",
    ":smile:",
    "'; DROP TABLE files;--",
    "' OR '1'='1",
    "a,b;c\td",
    "=1+1\n=2",
    "+cmd|' \\C calc'!A0",
    "{{7*7}}",
    "${7*7}",
    "<%= 7 %>",
    "#{7}",
    "!!python-object",
    "- yaml: [no]",
    "key: value",
)

_CONTROLS = (
    *(f"a{chr(code)}b" for code in (*range(1, 32), *range(127, 160))),
    *("\n", "\r", "\t", "\r\n", "a\n", "\na", "\n\n\n", "a\rb\rc", "\x1b", "\x07", "\x08" * 9),
    *("\x1b[2J", "\x1b[8mhidden", "\x1b]0;title\x07", "\x1b]52;c;eA==\x07", "\x1b[6n", "\x1bc"),
    *("\x1b[5mblink", "\x9b2J", "\x90q\x9c", "\x1b[?1049h", "\x1bP+q\x1b\\", "\x1b]8;;x:y\x07z"),
    *("\x1b[1A\x1b[2Kgone", "\x1b[99999999C", "\x1b(0", "\x1b[>c", "\x0e\x0f", "\x1b%G", "\x1b#8"),
    "ok\n2026-01-31T00:00:00.000Z INFO batch.run: forged",
    '\n{"v": 1, "event": "run_finished", "exit_code": 0}\n',
)

_UNICODE = (
    *("\u202efdp.exe", "\u202d", "\u2066x\u2069", "\u2067", "\u200f", "\u200e", "\u061c", "\u2028"),
    *("\u2029", "\u0085", "\ufeff", "a\ufeffb", "\ufffe", "\uffff", "\ufffd", "\u00ad", "\u034f"),
    *("\u115f", "\u1160", "\u3164", "\u180e", "\u2060", "\u2061", "\u206a", "\u00a0", "\u2003"),
    *(
        "\u3000",
        "\u200b",
        "\u200c",
        "\u200d",
        "\U000e0001",
        "\U000e0041",
        "\ufff9x\ufffa",
        "\ue000",
    ),
    *(
        "\U0010ffff",
        "\U0001f600",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f1e9\U0001f1ea",
    ),
    *("\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001f44d\U0001f3fd", "Z\u0351\u036b\u0343\u036a" * 9),
    *(
        "e" + "\u0301" * 100,
        "\u0301",
        "\u0e33" * 9,
        "\u0928\u0940",
        "\ufdfd" * 20,
        "\u1d2c",
        "\u0130",
    ),
    *(
        "\u0131",
        "\u212aelvin",
        "\u00df",
        "\u1e9e",
        "\u03c2",
        "\ufb01",
        "\u01c5",
        "\u0149",
        "\uff0f",
    ),
    *(
        "\u2215",
        "\u2044",
        "\u29f8",
        "\uff0e\uff0e",
        "\u2024\u2024",
        "\u37e2",
        "日本語の映画",
        "العربية",
    ),
    *(
        "עברית",
        "ไทย",
        "한국어",
        "ᄒᆞᆫ",
        "Ελληνικά",
        "Русский",
        "𝔉𝔦𝔩𝔪",
        "Ｆｉｌｍ",
        "№",
        "½",
        "²",
        "٣",
        "௧",
    ),
)

_SPACES = (
    *(" ", "  ", " a", "a ", "a  b", "a .", "a. ", "a.", "a..", "a...", "..a", "a. .b", "…", "- a"),
    *("a.en", "a.en.srt", "a.srt", "a.forced", "a.pt-BR", "a.wav", "a.mkv", "a.wav.wav", "a.tmp"),
    *(
        "a.part",
        "a.crdownload",
        "a.hi",
        "a.und",
        "a.subtitled",
        "a.1",
        "S01E01",
        "a.batch-subtitles",
    ),
    *(".hidden", "..", "...", ".batch-subtitles-0123456789abcdef.srt", ".nosubtitles", "~$a", "a~"),
)

_BYTES = (
    *(
        b"\xff",
        b"\xfe\xff",
        b"\x80",
        b"\xc3",
        b"\xc3(",
        b"a\xffb",
        b"\xed\xa0\x80",
        b"\xed\xb3\xbf",
    ),
    *(b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf8\x88\x80\x80\x80", b"\xf4\x90\x80\x80", b"caf\xe9"),
    *(
        b"\xff\n\xff",
        b"\x1b\xff[2J",
        b"\x81\x8d\x8f",
        b"\x93\xfa\x96\x7b",
        b"\xef\xbf\xbd\xff",
        b"\xe2\x80",
    ),
    *(b"a" * LONGEST_STEM, b"\xff" * LONGEST_STEM, "é".encode() * (LONGEST_STEM // 2)),
    *(b"b" * (LONGEST_STEM + 1), b"c" * (LONGEST_STEM + 3), "日".encode() * 83, b"\n" * 200),
    *("\U0001f600".encode() * 62, b"\x01" * 240, b" " * 240, b"." + b"x" * 240, b"'\"" * 120),
)


def known() -> list[bytes]:
    """The list, each name once, and each that has two forms of Unicode in both."""
    texts = [*_SHELL, *_PROTOCOLS, *_RESERVED, *_MARKUP, *_CONTROLS, *_UNICODE, *_SPACES]
    twins = ["Été", "Ångström", "ñandú", "각", "ゔが", "ﬁlm", "Ṩ", "Ω"]
    for text in (*twins, *_UNICODE):
        texts += [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC")]
    names = [*(text.encode() for text in texts), *_BYTES]
    return [name for name in dict.fromkeys(names) if is_possible(name)]


def is_possible(stem: bytes) -> bool:
    """Whether a file can have a name with this stem, and ``.wav`` behind it."""
    return 0 < len(stem) <= 251 and b"/" not in stem and b"\0" not in stem


def made(count: int, number: int) -> list[bytes]:
    """``count`` names that Hypothesis makes: any bytes, any text, and pieces of the list.

    The same ``number`` makes the same names.
    """
    names: dict[bytes, None] = {}
    listed = set(known())
    for turn in itertools.count(1000 * number):
        names.update((name, None) for name in _examples(count, turn) if name not in listed)
        if len(names) >= count:
            break
    return list(names)[:count]


def _examples(count: int, number: int) -> list[bytes]:
    anything = st.binary(min_size=1, max_size=251)
    text = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=80)
    pieces = st.lists(st.sampled_from(known()) | st.binary(max_size=4), min_size=2, max_size=4)
    found = []

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(anything, text.map(_encoded), pieces.map(b"".join)))
    def collect(name: bytes) -> None:
        stem = name.replace(b"/", b"").replace(b"\0", b"")[:251]
        if is_possible(stem):
            found.append(stem)

    collect()
    return found


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
