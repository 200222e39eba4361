#!/usr/bin/env python3
"""Writes what mutations begin with: for each fuzz target some small good inputs, in the form that the target
takes (fuzz/fuzz_targets), from data/documents and from documents made here.

Usage: fuzz_seeds.py FOLDER; writes FOLDER/TARGET/NAME. Standard library only, and the same every time.
"""

import io
import json
import re
import struct
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ROOT / "data" / "documents"
TARGETS = ROOT / "fuzz" / "fuzz_targets"

TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def relations(*of):
    """Relationships to parts: identifier, kind, target."""
    listed = "".join(f'<Relationship Id="{i}" Type="{OFFICE}/{kind}" Target="{to}"/>' for i, kind, to in of)
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{listed}</Relationships>'


def p(words, properties=""):
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{words}</w:t></w:r></w:p>'


WORD = {
    "[Content_Types].xml": TYPES,
    "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
    "word/document.xml": '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    + p("A Report", '<w:pStyle w:val="t"/>')
    + p("Findings", '<w:pStyle w:val="h1"/>')
    + p("one", '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>')
    + p("inner", '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr>')
    + '<w:p><w:r><w:t>Claim</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:tab/><w:br/></w:r></w:p>'
    + "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
    + "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>"
    + '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>' + p("River") + "</w:tc></w:tr>"
    + '<w:tr><w:tc><w:tcPr><w:vMerge w:val="restart"/></w:tcPr>' + p("Danube") + "</w:tc><w:tc>" + p("km")
    + "</w:tc></w:tr><w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr>" + p("") + "</w:tc><w:tc>" + p("long")
    + "</w:tc></w:tr></w:tbl>"
    + '<w:p><m:oMath xmlns:m="m"><m:sSup><m:e><m:r><m:t>r</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup>'
    + "</m:sSup></m:oMath></w:p></w:body></w:document>",
    "word/styles.xml": '<w:styles xmlns:w="w"><w:style w:type="paragraph" w:styleId="h1"><w:name w:val="heading 1"/>'
    '</w:style><w:style w:type="paragraph" w:styleId="h2"><w:basedOn w:val="h1"/><w:pPr><w:outlineLvl w:val="1"/>'
    '</w:pPr></w:style><w:style w:type="paragraph" w:styleId="t"><w:name w:val="Title"/></w:style></w:styles>',
    "word/numbering.xml": '<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0">'
    '<w:start w:val="1"/><w:numFmt w:val="lowerRoman"/><w:lvlText w:val="%1."/></w:lvl><w:lvl w:ilvl="1">'
    '<w:start w:val="27"/><w:numFmt w:val="upperLetter"/><w:lvlText w:val="%1.%2"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
    "word/footnotes.xml": '<w:footnotes xmlns:w="w"><w:footnote w:id="2">' + p("The proof.") + "</w:footnote></w:footnotes>",
    "word/_rels/document.xml.rels": relations(
        ("p0", "styles", "styles.xml"), ("p1", "numbering", "numbering.xml"), ("p2", "footnotes", "footnotes.xml")
    ),
}


def shape(kind, words):
    return (
        f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:spPr><a:xfrm><a:off x="9" y="7"/>'
        f'</a:xfrm></p:spPr><p:txBody><a:p><a:pPr lvl="1"/><a:r><a:t>{words}</a:t></a:r><a:br/></a:p></p:txBody></p:sp>'
    )


SLIDES = {
    "[Content_Types].xml": TYPES,
    "_rels/.rels": relations(("r1", "officeDocument", "ppt/presentation.xml")),
    "ppt/presentation.xml": "<p:presentation xmlns:p='p' xmlns:r='r'><p:sldIdLst><p:sldId id='256' r:id='rId1'/>"
    "</p:sldIdLst></p:presentation>",
    "ppt/_rels/presentation.xml.rels": relations(("rId1", "slide", "slides/slide1.xml")),
    "ppt/slides/slide1.xml": "<p:sld xmlns:p='p' xmlns:a='a' xmlns:r='r' xmlns:c='c'><p:cSld><p:spTree>"
    + shape("title", "Rivers")
    + shape("body", "The Danube")
    + "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc gridSpan='2'><a:txBody><a:p><a:r><a:t>km</a:t>"
    "</a:r></a:p></a:txBody></a:tc><a:tc hMerge='1'/></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    "<p:graphicFrame><a:graphic><a:graphicData><c:chart r:id='c1'/></a:graphicData></a:graphic></p:graphicFrame>"
    "</p:spTree></p:cSld></p:sld>",
    "ppt/slides/_rels/slide1.xml.rels": relations(
        ("n", "notesSlide", "../notesSlides/notesSlide1.xml"), ("c1", "chart", "../charts/chart1.xml")
    ),
    "ppt/charts/chart1.xml": "<c:chartSpace xmlns:c='c' xmlns:a='a'><c:chart><c:title><c:tx><c:rich><a:p><a:r>"
    "<a:t>Lengths</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea><c:barChart><c:ser><c:tx><c:strRef><c:strCache>"
    "<c:pt idx='0'><c:v>km</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat><c:strRef><c:strCache><c:ptCount val='1'/>"
    "<c:pt idx='0'><c:v>Danube</c:v></c:pt></c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache>"
    "<c:formatCode>General</c:formatCode><c:pt idx='0'><c:v>2850</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser>"
    "</c:barChart></c:plotArea></c:chart></c:chartSpace>",
    "ppt/notesSlides/notesSlide1.xml": "<p:notes xmlns:p='p' xmlns:a='a'>" + shape("body", "Say it slowly") + "</p:notes>",
}

BOOK = {
    "[Content_Types].xml": TYPES,
    "_rels/.rels": relations(("r1", "officeDocument", "xl/workbook.xml")),
    "xl/workbook.xml": "<workbook xmlns:r='r'><workbookPr date1904='0'/><sheets><sheet name='Rivers' sheetId='1' r:id='r1'/>"
    "</sheets></workbook>",
    "xl/_rels/workbook.xml.rels": relations(
        ("r1", "worksheet", "worksheets/sheet1.xml"), ("a", "sharedStrings", "sharedStrings.xml"),
        ("b", "styles", "styles.xml"),
    ),
    "xl/worksheets/sheet1.xml": "<worksheet><sheetData><row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='inlineStr'><is>"
    "<t>km</t></is></c></row><row r='2' hidden='1'><c r='A2' s='1'><v>45000.5</v></c><c r='C2' s='2'><f>A1</f><v>-0.125</v>"
    "</c><c t='b'><v>1</v></c><c t='e'><v>#N/A</v></c></row></sheetData><mergeCells><mergeCell ref='A1:B1'/></mergeCells>"
    "</worksheet>",
    "xl/sharedStrings.xml": "<sst><si><t>River</t></si><si><r><t>Dan</t></r><r><t>ube</t></r></si></sst>",
    "xl/styles.xml": "<styleSheet><numFmts><numFmt numFmtId='164' formatCode='[Red]#,##0.00%;(0)\\ ;\"none\"'/>"
    "<numFmt numFmtId='165' formatCode='yyyy\\-mm\\-dd hh:mm:ss.0 AM/PM'/></numFmts><cellXfs><xf numFmtId='0'/>"
    "<xf numFmtId='165'/><xf numFmtId='164'/></cellXfs></styleSheet>",
}

SPACES = "xmlns:office='o' xmlns:text='t' xmlns:table='b' xmlns:style='s' xmlns:draw='d' xmlns:dc='dc'"
LETTER = {
    "mimetype": "application/vnd.oasis.opendocument.text",
    "content.xml": f"<office:document-content {SPACES}><office:automatic-styles><style:style style:name='P1' "
    "style:parent-style-name='H'/><text:list-style style:name='L'><text:list-level-style-number text:level='1' "
    "style:num-format='i' text:start-value='3'/></text:list-style></office:automatic-styles><office:body><office:text>"
    "<text:h text:outline-level='1'>Rivers</text:h><text:p text:style-name='P1'>The<text:s text:c='3'/>Danube<text:tab/>"
    "<text:note text:note-class='footnote'><text:note-citation>1</text:note-citation><text:note-body><text:p>Long</text:p>"
    "</text:note-body></text:note></text:p><text:list text:style-name='L'><text:list-item><text:p>one</text:p></text:list-item>"
    "</text:list><table:table><table:table-row><table:table-cell table:number-columns-repeated='2' "
    "table:number-rows-spanned='2'><text:p>km</text:p></table:table-cell><table:covered-table-cell/></table:table-row>"
    "</table:table><draw:frame><draw:text-box><text:p>box</text:p></draw:text-box></draw:frame></office:text></office:body>"
    "</office:document-content>",
    "styles.xml": f"<office:document-styles {SPACES}><style:style style:name='H' style:default-outline-level='2'/>"
    "</office:document-styles>",
    "meta.xml": f"<office:document-meta {SPACES}><dc:title>A letter</dc:title></office:document-meta>",
}

NOVEL = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>',
    "OEBPS/content.opf": '<package version="2.0"><metadata xmlns:dc="dc"><dc:title>Rivers</dc:title></metadata><manifest>'
    '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    '<item id="c1" href="chapter1.xhtml" media-type="application/xhtml+xml"/></manifest>'
    '<spine toc="ncx"><itemref idref="c1"/></spine></package>',
    "OEBPS/toc.ncx": '<ncx><navMap><navPoint><navLabel><text>One</text></navLabel><content src="chapter1.xhtml#a"/>'
    "</navPoint></navMap></ncx>",
    "OEBPS/chapter1.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>One</title></head><body>'
    '<h1 id="a">One</h1><p>The <em>Danube</em> is long.<br/></p><table><tr><td>a</td><td>b</td></tr></table></body></html>',
}

RTF = r"""{\rtf1\ansi\ansicpg1252\uc1\deff0{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\fcharset161 Greek;}}
{\stylesheet{\s1\outlinelevel0 heading 1;}}{\info{\title A letter}}\pard\s1 Rivers\par\pard\plain The \b Danube\b0
 \'e4\u8211?\u-10179?\u-8694? {\f1 \'e1}\tab long\line{\field{\*\fldinst HYPERLINK "x"}{\fldrslt link}}\par
\trowd\cellx1000\cellx2000 River\cell km\cell\row{\pict\bin3 abc}{\footnote The proof.}\page{\v hidden}\par}"""

MAIL = """From: Ada <ada@example.org>\r
To: =?utf-8?Q?Charles_B=C3=A4bbage?= <c@example.org>\r
Subject: =?iso-8859-1?B?UmllcyBmb3IgeW91?=\r
Date: Thu, 1 Jan 2026 10:00:00 +0100\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="b"\r
\r
--b\r
Content-Type: multipart/alternative; boundary="c"\r
\r
--c\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
The Danube is =E2=80=9Clong=E2=80=9D.\r
--c\r
Content-Type: text/html\r
\r
<p>The Danube</p>\r
--c--\r
--b\r
Content-Type: message/rfc822\r
\r
From: x@example.org\r
Subject: Inner\r
\r
Words.\r
--b\r
Content-Type: text/csv; name="t.csv"\r
Content-Disposition: attachment; filename*=utf-8''t%C3%A4.csv\r
Content-Transfer-Encoding: base64\r
\r
YSxiCjEsMgo=\r
--b--\r
"""

JSON = '{"title": "Rivers", "rivers": [{"name": "Danube", "km": 2850, "in": ["AT", "HU"]}, {"name": "Rh\\u00f4ne", "km": 813.5}], "n": null, "deep": {"a": {"b": [[1, 2], [3e9]]}}, "ok": true}\n'

MARKDOWN = "---\ntitle: Notes\n---\n# Rivers\n\nText *of* [it](x).\n\n```sh\n# none\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. one\n   - two\n\nSetext\n---\n<p>raw</p>\n"

HTML = '<!DOCTYPE html><meta charset="iso-8859-1"><title>The page</title><style>p{}</style><h1>Rivers</h1><p hidden>no</p><div style="display:none">no</div><img alt="map"><ul><li>one<ol start="3"><li>in</ol></ul><table><tr><td rowspan=2 colspan=3>a<td>b<tr><td>c</table><pre>  x\n y</pre><svg><title>z</title></svg>'

def lines(objects):
    return "".join(json.dumps(each) + "\n" for each in objects)


def events():
    """Events of the Wyoming protocol."""

    def event(kind, data=None, payload=b"", inside=False):
        header = {"type": kind, "version": "1.10.2"}
        behind = b""
        if data is not None and inside:
            header["data"] = data
        elif data is not None:
            behind = json.dumps(data).encode()
            header["data_length"] = len(behind)
        if payload:
            header["payload_length"] = len(payload)
        return json.dumps(header).encode() + b"\n" + behind + payload

    form = {"rate": 16000, "width": 2, "channels": 1}
    return {
        "describe": event("describe"),
        "said": event("audio-start", form)
        + event("audio-chunk", form, bytes(64))
        + event("audio-stop", {}),
        "asked": event("transcript", {"text": "Rent?", "context": {"conversation_id": "a"}}, inside=True),
        "both": event("synthesize", {"text": "x"}, inside=True)[:-1] + b"\n",
    }


def frames():
    """A whole stream of a child, and one that ends with a failure."""
    def frame(kind, payload=b""):
        return struct.pack("<BI", kind, len(payload)) + payload

    text = "Ténx"
    document = {
        "document": {
            "media_type": "text/plain", "title": "T", "text": "", "paged": False,
            "pages": [{"page": 1, "start": 0, "end": 5, "state": "text", "chars": 4, "engine": "text"}],
            "sections": [{"start": 0, "level": 1, "title": "S", "path": "S"}],
        },
        "text_bytes": 5,
    }
    begun = frame(1, b"no landlock") + frame(2, struct.pack("<II", 1, 2)) + frame(2, struct.pack("<II", 2, 2))
    good = begun + frame(4, json.dumps(document).encode()) + frame(5, text.encode()) + frame(6)
    return {"good": good, "failure": begun + frame(3, b'{"code":"damaged","message":"broken"}')}


def zipped(parts, how):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, part in parts.items():
            # A fixed date: the same bytes every time.
            archive.writestr(zipfile.ZipInfo(name), part, how)
    return out.getvalue()


def parts_of(target):
    """The parts of a package in the order in which the target takes them."""
    listed = re.search(r"const PARTS[^=]*= \[(.*?)\];", (TARGETS / f"{target}.rs").read_text(), re.S)
    return re.findall(r'"([^"]+)"', listed[1])


def joined(target, parts):
    """The parts as a package's target takes them."""
    wanted = parts_of(target)
    unknown = set(parts) - set(wanted)
    assert not unknown, f"{target} does not take {unknown}"
    return "\x1e".join(parts.get(name, "") for name in wanted).encode()


def seeds():
    """(target, name, bytes) of each."""
    packages = {"docx": WORD, "pptx": SLIDES, "xlsx": BOOK, "odt": LETTER, "epub": NOVEL}
    for target, parts in packages.items():
        yield target, "made", joined(target, parts)
        yield "zip", f"{target}-stored", zipped(parts, zipfile.ZIP_STORED)[4:]
        yield "zip", f"{target}-deflated", zipped(parts, zipfile.ZIP_DEFLATED)[4:]
    with zipfile.ZipFile(DOCUMENTS / "heat-pump-manual.docx") as archive:
        there = set(archive.namelist())
        parts = {name: archive.read(name).decode() for name in parts_of("docx") if name in there}
    yield "docx", "heat-pump-manual", joined("docx", parts)
    yield "zip", "heat-pump-manual", (DOCUMENTS / "heat-pump-manual.docx").read_bytes()[4:]

    yield "pdf", "lease-agreement", (DOCUMENTS / "lease-agreement.pdf").read_bytes()
    yield "pdf", "scan", (ROOT / "tests" / "extract" / "documents" / "scan.pdf").read_bytes()
    yield "rtf", "made", RTF.removeprefix(r"{\rtf1").encode()
    yield "eml", "made", MAIL.partition("c@example.org>\r\n")[2].encode()
    yield "json", "made", JSON.encode()
    yield "json", "lines", lines([{"a": 1, "b": "x"}, {"a": 2, "c": [1]}]).encode()
    yield "csv", "made", b'Name;Born;Note\nAda;1815;"wrote; the first\nprogram"\nCharles;1791;\n'
    yield "csv", "price-list", (DOCUMENTS / "workshop-price-list.csv").read_bytes()
    yield "html", "made", HTML.encode("latin-1")
    yield "html", "travel-policy", (DOCUMENTS / "travel-policy.html").read_bytes()
    yield "markdown", "made", MARKDOWN.encode()
    yield "markdown", "notes", (DOCUMENTS / "reed-warbler-notes.md").read_bytes()
    yield "text", "rules", (DOCUMENTS / "allotment-rules.txt").read_bytes()
    for encoding in ["utf-16", "utf-16-be", "cp1252", "shift_jis", "gb18030", "koi8_r"]:
        words = {"cp1252": "café “größer” – 5 €", "koi8_r": "Дунай течёт"}.get(encoding, "長い川 river")
        yield "text", encoding, words.encode(encoding) * 4
    for path in sorted(DOCUMENTS.iterdir()):
        yield "sniff", path.name, path.suffix.removeprefix(".").ljust(4)[:4].encode() + path.read_bytes()
    yield "sniff", "letter.rtf", b"rtf " + RTF.encode()
    yield "sniff", "mail.eml", b"eml " + MAIL.encode()
    yield "sniff", "data.json", b"json" + JSON.encode()
    yield "sniff", "code.py", b"py  def f(x):\n    return x\n"
    yield "sniff", "old.doc", b"doc " + b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
    for target, parts in packages.items():
        yield "sniff", f"made.{target}", target.encode().ljust(4)[:4] + zipped(parts, zipfile.ZIP_DEFLATED)

    for name, stream in frames().items():
        yield "frames", name, stream
    for name, stream in events().items():
        yield "wyoming", name, stream
    passage = "4 Rent\nRent is payable on the first day of each month (in advance). It is 900 €."
    yield "quote", "whole", ('{"quote": "rent is payable on the FIRST day of each month, in advance"}\x1e' + passage).encode()
    yield "quote", "cut", ('{"quote": "Rent is payable on the \\u0066irst day of ea\x1e' + passage).encode()
    yield "json_text", "made", b'{"answer": "On the 1st\\u2026 \\ud83d\\ude00 \\"a\\" \\n"}'


def main():
    folder = Path(sys.argv[1])
    for target, name, seed in seeds():
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / name).write_bytes(seed)


if __name__ == "__main__":
    main()
