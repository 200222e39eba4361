#!/usr/bin/env python3
"""Writes the sample documents that are not plain text: a PDF and a DOCX, from the texts in
scripts/samples. Standard library only, and the same input gives the same bytes.

The texts' marks: `# ` title, `## ` heading, `* ` list item, `| a | b |` table row, `---` new page.
"""

import textwrap
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "scripts" / "samples"
DOCUMENTS = ROOT / "data" / "documents"

# A4 in points, with margins of 72 points.
WIDTH, HEIGHT, MARGIN = 595, 842, 72


def blocks(text):
    """(kind, text) for each block; `row` carries its cells."""
    for line in text.splitlines():
        if not line.strip():
            continue
        if line.startswith("## "):
            yield "heading", line[3:]
        elif line.startswith("# "):
            yield "title", line[2:]
        elif line.startswith("* "):
            yield "item", line[2:]
        elif line.startswith("|"):
            yield "row", [cell.strip() for cell in line.strip("|").split("|")]
        elif line == "---":
            yield "page", ""
        else:
            yield "paragraph", line


def pdf(text):
    """A PDF 1.4 of Helvetica text: one content stream a page, no compression, so that it can be read
    with a pager."""
    sizes = {"title": (18, "F2"), "heading": (13, "F2"), "paragraph": (11, "F1"), "item": (11, "F1")}
    pages, lines, y = [], [], HEIGHT - MARGIN
    for kind, content in blocks(text):
        if kind == "page":
            pages.append(lines)
            lines, y = [], HEIGHT - MARGIN
            continue
        size, font = sizes[kind]
        y -= size * 0.8
        # Helvetica is about half as wide as it is high.
        for line in textwrap.wrap(content, int((WIDTH - 2 * MARGIN) / (size * 0.5))):
            shown = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            lines.append(f"BT /{font} {size} Tf 1 0 0 1 {MARGIN} {y:.1f} Tm ({shown}) Tj ET")
            y -= size * 1.35
        assert y > MARGIN, f"a page is too full at {content[:40]!r}"
    pages.append(lines)

    objects = ["<< /Type /Catalog /Pages 2 0 R >>", None,
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>"]
    kids = []
    for number, lines in enumerate(pages, 1):
        footer = f"BT /F1 9 Tf 1 0 0 1 {WIDTH / 2 - 20:.1f} 40.0 Tm (Page {number} of {len(pages)}) Tj ET"
        stream = "\n".join([*lines, footer])
        objects.append(f"<< /Length {len(stream.encode('cp1252'))} >>\nstream\n{stream}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"

    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return out


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
HEADER = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def docx(text):
    """The members of a WordprocessingML document with heading styles, a bullet list and tables."""

    def paragraph(content, style=None, extra=""):
        style = f'<w:pStyle w:val="{style}"/>' if style else ""
        properties = f"<w:pPr>{style}{extra}</w:pPr>" if style or extra else ""
        return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{escape(content)}</w:t></w:r></w:p>'

    bullet = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    body, rows = [], []

    def close_table():
        if rows:
            grid = '<w:gridCol w:w="3000"/>' * len(rows[0])
            cells = "".join(
                "<w:tr>" + "".join(
                    f'<w:tc><w:tcPr><w:tcW w:w="3000" w:type="dxa"/></w:tcPr>{paragraph(cell)}</w:tc>'
                    for cell in row) + "</w:tr>"
                for row in rows)
            body.append(
                '<w:tbl><w:tblPr><w:tblW w:w="0" w:type="auto"/></w:tblPr>'
                f"<w:tblGrid>{grid}</w:tblGrid>{cells}</w:tbl>")
            rows.clear()

    for kind, content in blocks(text):
        if kind == "row":
            rows.append(content)
            continue
        close_table()
        if kind == "title":
            body.append(paragraph(content, "Heading1"))
        elif kind == "heading":
            body.append(paragraph(content, "Heading2"))
        elif kind == "item":
            body.append(paragraph(content, "ListParagraph", bullet))
        else:
            body.append(paragraph(content))
    close_table()

    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kinds = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    style = '<w:style w:type="paragraph" w:styleId="{0}"><w:name w:val="{1}"/>{2}</w:style>'
    return {
        "[Content_Types].xml":
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{kinds}.document.main+xml"/>'
            f'<Override PartName="/word/styles.xml" ContentType="{kinds}.styles+xml"/>'
            f'<Override PartName="/word/numbering.xml" ContentType="{kinds}.numbering+xml"/></Types>',
        "_rels/.rels":
            f'<Relationships xmlns="{relations}"><Relationship Id="rId1" Type="{office}/officeDocument" '
            'Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels":
            f'<Relationships xmlns="{relations}">'
            f'<Relationship Id="rId1" Type="{office}/styles" Target="styles.xml"/>'
            f'<Relationship Id="rId2" Type="{office}/numbering" Target="numbering.xml"/></Relationships>',
        "word/document.xml": f"<w:document {WORD}><w:body>{''.join(body)}<w:sectPr/></w:body></w:document>",
        "word/styles.xml":
            f"<w:styles {WORD}>"
            + style.format("Heading1", "heading 1", '<w:pPr><w:outlineLvl w:val="0"/></w:pPr>')
            + style.format("Heading2", "heading 2", '<w:pPr><w:outlineLvl w:val="1"/></w:pPr>')
            + style.format("ListParagraph", "List Paragraph", "")
            + "</w:styles>",
        "word/numbering.xml":
            f'<w:numbering {WORD}><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/>'
            '<w:numFmt w:val="bullet"/><w:lvlText w:val="•"/></w:lvl></w:abstractNum>'
            '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
    }


def main():
    text = (TEXTS / "lease-agreement.txt").read_text(encoding="utf-8")
    (DOCUMENTS / "lease-agreement.pdf").write_bytes(pdf(text))
    text = (TEXTS / "heat-pump-manual.txt").read_text(encoding="utf-8")
    with zipfile.ZipFile(DOCUMENTS / "heat-pump-manual.docx", "w") as archive:
        for name, content in docx(text).items():
            # A fixed date, so that the file changes only when its text does.
            member = zipfile.ZipInfo(name, date_time=(2025, 1, 1, 0, 0, 0))
            archive.writestr(member, HEADER + content, compress_type=zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
