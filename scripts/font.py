"""Makes src/figures/font/{regular,semibold,advances}.ts from the Inter typeface.

    npm pack inter-ui@4.1.1 && tar xzf inter-ui-4.1.1.tgz
    python3 -m pip install fonttools brotli
    python3 scripts/font.py package src/figures/font

Each weight is cut down to Latin-1, Greek and the signs that figures use (kerning and tabular digits are kept), and is
written twice: as TrueType, which the PNG renderer reads, and as WOFF2, which SVG and HTML carry inside.
"""
import base64
import io
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter, parse_unicodes
from fontTools.ttLib import TTFont

SIGNS = (
    "0020-007E,00A0-00FF,0391-03A9,03B1-03C9,2013,2014,2018,2019,201C,201D,2022,2026,2030,2032,2070,2074-207B,207F,"
    "2080-208B,2190-2193,2202,2206,2211,2212,221A,221E,2248,2260,2264,2265,25CF,2713"
)
source, target = Path(sys.argv[1]), Path(sys.argv[2])
licence = (source / "LICENSE.txt").read_text().strip()
advances = {}
for weight, css in (("Regular", 400), ("SemiBold", 600)):
    font = TTFont(source / "web" / f"Inter-{weight}.woff2")
    options = Options(layout_features=["kern", "tnum"], hinting=False, notdef_outline=True)
    # With the typographic names, both weights are of one family.
    options.name_IDs += [16, 17]
    options.drop_tables += ["STAT", "GDEF"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=parse_unicodes(SIGNS))
    subsetter.subset(font)
    forms = {}
    for form, flavor in (("trueType", None), ("woff2", "woff2")):
        font.flavor = flavor
        buffer = io.BytesIO()
        font.save(buffer, reorderTables=False)
        forms[form] = base64.b64encode(buffer.getvalue()).decode()
    glyphs = font.getBestCmap()
    advances[css] = {chr(code): font["hmtx"][name][0] for code, name in sorted(glyphs.items())}
    units = font["head"].unitsPerEm
    (target / f"{weight.lower()}.ts").write_text(
        f"/*!\nInter {weight}, cut down by scripts/font.py from the npm package inter-ui 4.1.1"
        f" (https://rsms.me/inter). Its licence:\n\n{licence}\n*/\n\n"
        + "".join(f"export const {form} =\n  '{text}';\n" for form, text in forms.items())
    )
characters = "".join(advances[400])
quoted = characters.replace("\\", "\\\\").replace("'", "\\'")
rows = "".join(
    f"  {css}: [{', '.join(str(round(widths[c] * 1000 / units)) for c in characters)}],\n" for css, widths in advances.items()
)
(target / "advances.ts").write_text(
    "/** @file Advance widths of the shipped font, in thousandths of an em; written by scripts/font.py. */\n\n"
    f"export const characters =\n  '{quoted}';\n\n"
    f"export const advances: Readonly<Record<400 | 600, readonly number[]>> = {{\n{rows}}};\n"
)
