"""Language codes and names: ISO 639-1, 639-2 and the few of 639-3 that speech models know.

The codes are those of the ISO 639 registration authorities; the names are the usual English ones.
"""

from __future__ import annotations

from functools import cache

_TABLE = """
aa aar Afar
ab abk Abkhaz
ae ave Avestan
af afr Afrikaans
ak aka Akan
am amh Amharic
an arg Aragonese
ar ara Arabic
as asm Assamese
av ava Avaric
ay aym Aymara
az aze Azerbaijani
ba bak Bashkir
be bel Belarusian
bg bul Bulgarian
bi bis Bislama
bm bam Bambara
bn ben Bengali
bo bod/tib Tibetan
br bre Breton
bs bos Bosnian
ca cat Catalan
ce che Chechen
ch cha Chamorro
co cos Corsican
cr cre Cree
cs ces/cze Czech
cu chu Church Slavic
cv chv Chuvash
cy cym/wel Welsh
da dan Danish
de deu/ger German
dv div Dhivehi
dz dzo Dzongkha
ee ewe Ewe
el ell/gre Greek
en eng English
eo epo Esperanto
es spa Spanish
et est Estonian
eu eus/baq Basque
fa fas/per Persian
ff ful Fulah
fi fin Finnish
fj fij Fijian
fo fao Faroese
fr fra/fre French
fy fry Western Frisian
ga gle Irish
gd gla Scottish Gaelic
gl glg Galician
gn grn Guarani
gu guj Gujarati
gv glv Manx
ha hau Hausa
haw haw Hawaiian
he heb Hebrew
hi hin Hindi
ho hmo Hiri Motu
hr hrv Croatian
ht hat Haitian Creole
hu hun Hungarian
hy hye/arm Armenian
hz her Herero
ia ina Interlingua
id ind Indonesian
ie ile Interlingue
ig ibo Igbo
ii iii Nuosu
ik ipk Inupiaq
io ido Ido
is isl/ice Icelandic
it ita Italian
iu iku Inuktitut
ja jpn Japanese
jv jav Javanese
ka kat/geo Georgian
kg kon Kongo
ki kik Kikuyu
kj kua Kwanyama
kk kaz Kazakh
kl kal Kalaallisut
km khm Khmer
kn kan Kannada
ko kor Korean
kr kau Kanuri
ks kas Kashmiri
ku kur Kurdish
kv kom Komi
kw cor Cornish
ky kir Kyrgyz
la lat Latin
lb ltz Luxembourgish
lg lug Ganda
li lim Limburgish
ln lin Lingala
lo lao Lao
lt lit Lithuanian
lu lub Luba-Katanga
lv lav Latvian
mg mlg Malagasy
mh mah Marshallese
mi mri/mao Maori
mk mkd/mac Macedonian
ml mal Malayalam
mn mon Mongolian
mr mar Marathi
ms msa/may Malay
mt mlt Maltese
my mya/bur Burmese
na nau Nauru
nb nob Norwegian Bokmål
nd nde North Ndebele
ne nep Nepali
ng ndo Ndonga
nl nld/dut Dutch
nn nno Norwegian Nynorsk
no nor Norwegian
nr nbl South Ndebele
nv nav Navajo
ny nya Chichewa
oc oci Occitan
oj oji Ojibwa
om orm Oromo
or ori Odia
os oss Ossetian
pa pan Punjabi
pi pli Pali
pl pol Polish
ps pus Pashto
pt por Portuguese
qu que Quechua
rm roh Romansh
rn run Rundi
ro ron/rum Romanian
ru rus Russian
rw kin Kinyarwanda
sa san Sanskrit
sc srd Sardinian
sd snd Sindhi
se sme Northern Sami
sg sag Sango
si sin Sinhala
sk slk/slo Slovak
sl slv Slovenian
sm smo Samoan
sn sna Shona
so som Somali
sq sqi/alb Albanian
sr srp Serbian
ss ssw Swati
st sot Southern Sotho
su sun Sundanese
sv swe Swedish
sw swa Swahili
ta tam Tamil
te tel Telugu
tg tgk Tajik
th tha Thai
ti tir Tigrinya
tk tuk Turkmen
tl tgl Tagalog
tn tsn Tswana
to ton Tongan
tr tur Turkish
ts tso Tsonga
tt tat Tatar
tw twi Twi
ty tah Tahitian
ug uig Uyghur
uk ukr Ukrainian
ur urd Urdu
uz uzb Uzbek
ve ven Venda
vi vie Vietnamese
vo vol Volapük
wa wln Walloon
wo wol Wolof
xh xho Xhosa
yi yid Yiddish
yo yor Yoruba
yue yue Cantonese
za zha Zhuang
zh zho/chi Chinese
zu zul Zulu
"""
"""One language a line: our code, its 639-2/T code (``/`` and the 639-2/B code), its name."""

_ALIASES = {
    "arb": "ar",
    "cmn": "zh",
    "ekk": "et",
    "fil": "tl",
    "in": "id",
    "iw": "he",
    "ji": "yi",
    "jw": "jv",
    "lvs": "lv",
    "mo": "ro",
    "npi": "ne",
    "ory": "or",
    "pes": "fa",
    "scc": "sr",
    "scr": "hr",
    "swh": "sw",
    "zsm": "ms",
    "bokmål": "nb",
    "castilian": "es",
    "farsi": "fa",
    "filipino": "tl",
    "flemish": "nl",
    "mandarin": "zh",
    "moldavian": "ro",
    "myanmar": "my",
    "nynorsk": "nn",
    "valencian": "ca",
}
"""Withdrawn codes, codes of a language's main variety, and other names."""

_WHISPER = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi
hr ht hu hy id is it ja jv ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn
no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi
yo yue zh
"""
"""The languages its multilingual models know, by our codes (``yue`` from large-v3 on)."""

_WHISPER_NAMES = {"jv": "jw", "nb": "no"}


def normalise(code: str) -> str | None:
    """The ISO 639-1 code (639-3 where there is none) of a code, tag or English name.

    Reads ISO 639-1, 639-2/B, 639-2/T, language tags (``pt-BR``) and names, in any case. ``None``
    for anything else, ``und`` and ``mul`` included.
    """
    text = code.strip().casefold()
    index = _index()
    return index.get(text) or index.get(text.replace("_", "-").partition("-")[0])


def whisper_code(code: str) -> str | None:
    """What Whisper calls the language of ``code``; ``None`` where no Whisper model knows it."""
    known = normalise(code)
    if known is None:
        return None
    return _WHISPER_NAMES.get(known, known) if known in _whisper() else None


def english_name(code: str) -> str:
    """The usual English name of a language; the code itself where it is not known."""
    known = normalise(code)
    return next((name for one, _, name in _rows() if one == known), code)


def three_letters(code: str, *, bibliographic: bool) -> str:
    """The ISO 639-2 code: the terminological one (``deu``, MP4) or the other (``ger``, Matroska).

    ``und`` where the language is not known.
    """
    known = normalise(code)
    codes = next((codes for one, codes, _ in _rows() if one == known), "und").split("/")
    return codes[-1] if bibliographic else codes[0]


@cache
def _rows() -> tuple[tuple[str, str, str], ...]:
    rows = []
    for line in _TABLE.strip().splitlines():
        code, three, name = line.split(" ", 2)
        rows.append((code, three, name))
    return tuple(rows)


@cache
def _index() -> dict[str, str]:
    index = dict(_ALIASES)
    for code, three, name in _rows():
        index.update(dict.fromkeys([code, *three.split("/"), name.casefold()], code))
    return index


@cache
def _whisper() -> frozenset[str]:
    return frozenset(_WHISPER.split())
