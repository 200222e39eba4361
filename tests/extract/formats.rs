//! Each format: a document beside everything that is expected of it.

use crate::{
    make::{self, docx, lines, p, p_with},
    read, show,
};

#[track_caller]
fn check(bytes: &[u8], name: &str, expected: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shown = show(&runtime.block_on(read(bytes, name)));
    assert_eq!(shown, expected, "\n--- was ---\n{shown}\n");
}

#[test]
fn markdown() {
    let source = "---\ntitle: \"Notes\"\n---\n# Rivers\n\nText.\n\n```sh\n# no heading\n```\n\n## The *Danube* `x`\r\nMore\u{0}.\n\nSetext\n---\n";
    check(
        source.as_bytes(),
        "x.md",
        "text/markdown “Notes”\n\
         1 Rivers at \"# Rivers\\n\\nTe\"\n\
         2 Rivers › The Danube x at \"## The *Danu\"\n\
         2 Rivers › Setext at \"Setext\\n---\"\n\
         ---\n\
         ---\ntitle: \"Notes\"\n---\n# Rivers\n\nText.\n\n```sh\n# no heading\n```\n\n## The *Danube* `x`\nMore.\n\nSetext\n---",
    );
}

#[test]
fn plain_text_in_its_encodings() {
    check("größer\r\n".as_bytes(), "x.txt", "text/plain\n---\ngrößer");
    check(b"\xff\xfeg\0r\0\xf6\0", "x.txt", "text/plain\n---\ngrö");
    check(
        b"the \x93word\x94 \x96 in Windows-1252, caf\xe9",
        "x.txt",
        "text/plain\n---\nthe “word” – in Windows-1252, café",
    );
}

#[test]
fn tables_of_values() {
    check(
        b"Name;Born;Note\nAda;1815;\"wrote; the first\nprogram\"\nCharles;1791;\n;;\n",
        "x.csv",
        "text/csv\n---\nName | Born | Note\nName: Ada; Born: 1815; Note: wrote; the first program\nName: Charles; Born: 1791",
    );
    check(
        b"1,2,3\na,b,c,d\n",
        "x.csv",
        "text/csv\n---\n1 | 2 | 3\na | b | c | d",
    );
    check(
        b"Name\tAge\textra\nAda\t36\tx\ty\n",
        "x.tsv",
        "text/csv\n---\nName | Age | extra\nAda | 36 | x | y",
    );
    check(
        b"sep=|\nName|Age\nAda|36\n",
        "x.csv",
        "text/csv\n---\nName | Age\nName: Ada; Age: 36",
    );
}

#[test]
fn html() {
    let source = r#"<!DOCTYPE html><html><head><title> The
        page </title><style>p { color: red }</style><script>alert("no")</script></head>
        <body><h1>Rivers <em>of</em> Europe</h1>
        <p>The&nbsp;Danube <b>flows</b>
           east.<br>It is long.</p><p hidden>hidden</p><div style="Display : none">hidden too</div>
        <img src="http://127.0.0.1:9/x.png" alt="A map">
        <h2>List</h2><ul><li>one<li>two<ol start="3"><li>inner</ol></ul>
        <table><caption>Lengths</caption><tr><th>River<th>km</tr>
        <tr><td rowspan=2>Danube<td><p>2,850</p></tr><tr><td>1,770&nbsp;mi</tr></table>
        <pre>  code
    stays</pre><template>no</template><p>End&#173;ing.</body></html>"#;
    check(
        source.as_bytes(),
        "x.html",
        "text/html “The page”\n\
         1 Rivers of Europe at \"Rivers of Eu\"\n\
         2 Rivers of Europe › List at \"List\\n\\n- one\\n\"\n\
         ---\n\
         Rivers of Europe\n\nThe Danube flows east.\nIt is long.\n\nA map\n\nList\n\n- one\n- two\n  3. inner\n\n\
         Lengths\nRiver | km\nDanube | 2,850\nDanube | 1,770 mi\n\n  code\n    stays\nEnding.",
    );
}

#[test]
fn html_laid_out_with_tables() {
    let source =
        "<html><table><tr><td><h1>News</h1><p>First.</p><td><table><tr><td>a<td>b</table></table>";
    check(
        source.as_bytes(),
        "x.html",
        "text/html\n1 News at \"News\\n\\nFirst.\"\n---\nNews\n\nFirst.\n\na | b",
    );
}

const STYLES: &str = r#"<w:styles xmlns:w="w">
    <w:style w:type="paragraph" w:styleId="h1"><w:name w:val="heading 1"/></w:style>
    <w:style w:type="paragraph" w:styleId="h2"><w:name w:val="Kapitel"/><w:basedOn w:val="h1"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
    <w:style w:type="paragraph" w:styleId="t"><w:name w:val="Title"/></w:style>
    </w:styles>"#;

const NUMBERING: &str = r#"<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="0">
    <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
    <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl></w:abstractNum>
    <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>"#;

#[test]
fn word_headings_lists_and_title() {
    let item = |level: u8, words: &str| {
        p_with(
            &format!(r#"<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="1"/></w:numPr>"#),
            words,
        )
    };
    let body = [
        p_with(r#"<w:pStyle w:val="t"/>"#, "A Report"),
        p_with(r#"<w:pStyle w:val="h1"/>"#, "Findings"),
        p("First."),
        item(0, "one"),
        item(1, "inner"),
        item(0, "two"),
        p_with(r#"<w:pStyle w:val="h2"/>"#, "Details &amp; more"),
        p("Last."),
    ]
    .concat();
    check(
        &docx(&body, &[("styles", STYLES), ("numbering", NUMBERING)]),
        "x.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document “A Report”\n\
         1 Findings at \"Findings\\n\\nFi\"\n\
         2 Findings › Details & more at \"Details & mo\"\n\
         ---\n\
         A Report\n\nFindings\n\nFirst.\n\n1. one\n  - inner\n2. two\n\nDetails & more\n\nLast.",
    );
}

#[test]
fn word_tables_notes_revisions_and_boxes() {
    let cell = |properties: &str, words: &str| {
        format!("<w:tc><w:tcPr>{properties}</w:tcPr>{}</w:tc>", p(words))
    };
    let body = [
        r#"<w:p><w:r><w:t>Claim</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:t>.</w:t></w:r></w:p>"#.to_owned(),
        r#"<w:p><w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r><w:r><w:t>words</w:t><w:tab/><w:t>☒ done</w:t></w:r></w:p>"#.to_owned(),
        format!("<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>",
            cell("", "River"), cell("", "km"),
            cell(r#"<w:vMerge w:val="restart"/>"#, "Danube"), cell("", "2,850"),
            cell("<w:vMerge/>", ""), cell("", "long")),
        format!("<w:p><w:r><w:t>Anchor</w:t></w:r><w:r><w:pict><w:txbxContent>{}</w:txbxContent></w:pict></w:r></w:p>", p("In a box")),
        r#"<w:p><m:oMath xmlns:m="m"><m:r><m:t>A=</m:t></m:r><m:sSup><m:e><m:r><m:t>r</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p>"#.to_owned(),
    ]
    .concat();
    let footnotes = format!(
        r#"<w:footnotes xmlns:w="w"><w:footnote w:id="0" w:type="separator">{}</w:footnote><w:footnote w:id="2">{}</w:footnote></w:footnotes>"#,
        p("---"),
        p("The proof.")
    );
    let header = format!(r#"<w:hdr xmlns:w="w">{}</w:hdr>"#, p("Ref. 4711/B"));
    let footer = format!(r#"<w:ftr xmlns:w="w">{}</w:ftr>"#, p("7"));
    check(
        &docx(
            &body,
            &[
                ("footnotes", &footnotes),
                ("header", &header),
                ("footer", &footer),
            ],
        ),
        "x.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document\n\
         ---\n\
         Ref. 4711/B\n\nClaim[1].\n[1] The proof.\n\nnew words [x] done\n\nRiver | km\nDanube | 2,850\nDanube | long\n\nAnchor\nIn a box\n\nA=r^{2}",
    );
}

#[test]
fn pdf_pages() {
    let first = lines(
        72,
        700,
        &[
            "The Danube is the second",
            "longest river of Europe, an exam-",
            "ple of a long one (really).",
        ],
    );
    check(
        &make::pdf(&[&first, "", &lines(72, 700, &["Page three."])]),
        "x.pdf",
        "application/pdf\n\
         page 1 text 0..84 by Unpdf\n\
         page 2 empty 84..84 by Unpdf\n\
         page 3 text 86..97 by Unpdf\n\
         ---\n\
         The Danube is the second longest river of Europe, an example of a long one (really).\n\nPage three.",
    );
}

#[test]
fn pdf_columns_are_read_one_after_the_other() {
    let left = [
        "The left column tells of rivers,",
        "of their sources and their mouths,",
        "and of the towns that stand there,",
        "which are many in every country.",
    ];
    let right = [
        "The right column tells of hills,",
        "of their forests and their caves,",
        "and of the roads that lead there,",
        "which are few in every season.",
    ];
    // Line by line across, as some producers write.
    let mut content = String::new();
    for row in 0..4 {
        let y = 700 - 14 * row as u32;
        content += &lines(60, y, &[left[row]]);
        content += &lines(330, y, &[right[row]]);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let extracted = runtime
        .block_on(read(&make::pdf(&[&content]), "x.pdf"))
        .unwrap();
    let flat = extracted.text.replace('\n', " ");
    let left_end = flat.find("many in every country").unwrap();
    let right_start = flat.find("The right column").unwrap();
    assert!(left_end < right_start, "{}", extracted.text);
}

#[test]
fn pdf_that_needs_a_password() {
    let bytes = make::encrypted_pdf("geheim", &lines(72, 700, &["Secret words."]));
    check(
        &bytes,
        "x.pdf",
        "encrypted: the file is encrypted and opens only with a password; save a copy without one",
    );
    let open = make::encrypted_pdf("", &lines(72, 700, &["Not so secret."]));
    check(
        &open,
        "x.pdf",
        "application/pdf\npage 1 text 0..14 by Unpdf\n---\nNot so secret.",
    );
}
