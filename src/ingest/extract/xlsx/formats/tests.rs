//! Values and formats, and what their cells show.

use super::*;

#[track_caller]
fn check(code: &str, value: &str, expected: &str) {
    let formats = Formats {
        by_style: vec![0],
        formats: vec![parse(code)],
        from_1904: false,
    };
    assert_eq!(formats.show(value, 0), expected, "{code} {value}");
}

#[test]
fn plain_numbers() {
    for (value, expected) in [
        ("0", "0"),
        ("1234567", "1234567"),
        ("-3.50", "-3.5"),
        ("0.30000000000000004", "0.3"),
        ("123456789012345", "123456789012345"),
        ("1E+20", "1E20"),
        ("1.5E-12", "1.5E-12"),
        ("nan", "nan"),
        ("word", "word"),
    ] {
        check("General", value, expected);
    }
}

#[test]
fn formatted_numbers() {
    for (code, value, expected) in [
        ("0", "2.5001", "3"),
        ("0.00", "2", "2.00"),
        ("#,##0.00", "1234567.891", "1,234,567.89"),
        ("#,##0", "-999", "-999"),
        ("0%", "0.125", "13%"),
        ("0.00", "1.005", "1.01"),
        ("0.0%", "0.125", "12.5%"),
        ("00000", "42", "00042"),
        ("0.##", "1.5", "1.5"),
        (".00", "0.5", ".50"),
        ("0.00E+00", "12345", "1.23E+04"),
        ("#,##0.0,,\" M\"", "12345678", "12.3 M"),
        ("[$€-407] #,##0.00", "5", "€ 5.00"),
        ("#,##0.00\\ \"€\";[Red]-#,##0.00\\ \"€\"", "-5", "-5.00 €"),
        ("\"$\"#,##0_);\\(\"$\"#,##0\\)", "-1200", "($1,200)"),
        ("_-* #,##0.00_-;-* #,##0.00_-;_-* \"-\"??_-;_-@_-", "0", "-"),
        ("0;-0;\"none\"", "0", "none"),
        ("0", "-0.2", "0"),
        ("#", "0", ""),
        ("@", "7", "7"),
        ("# ?/?", "0.5", "0.5"),
    ] {
        check(code, value, expected);
    }
}

#[test]
fn dates_and_times() {
    for (code, value, expected) in [
        ("m/d/yyyy", "45356", "2024-03-05"),
        ("[$-409]d\\-mmm\\-yy;@", "45356", "2024-03-05"),
        ("mmm yyyy", "45356", "2024-03"),
        ("yyyy", "45356", "2024"),
        ("dd.mm.yyyy hh:mm", "45356.5", "2024-03-05 12:00"),
        ("h:mm AM/PM", "0.75", "18:00"),
        ("mm:ss", "0.5", "12:00:00"),
        ("[h]:mm", "1.5", "36:00"),
        ("yyyy\"年\"m\"月\"d\"日\"", "45356", "2024-03-05"),
        ("m/d/yyyy", "-1", "-1"),
    ] {
        check(code, value, expected);
    }
}

#[test]
fn styles_name_formats() {
    let source = r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="0.0&quot; kg&quot;"/></numFmts>
        <cellStyleXfs><xf numFmtId="9"/></cellStyleXfs>
        <cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="9999"/></cellXfs></styleSheet>"#;
    let formats = read(source.as_bytes(), false).unwrap();
    let shown = [0, 1, 2, 3, 99].map(|style| formats.show("45356", style));
    assert_eq!(
        shown,
        ["45356", "2024-03-05", "45356.0 kg", "45356", "45356"]
    );
}

#[test]
fn strange_formats_end() {
    for code in [
        "",
        ";",
        ";;;;;;",
        "[",
        "\"",
        "\\",
        "_",
        "*",
        "[$",
        "[]",
        "0,,,,,,,,,,,,,,,,,,,,,,,,",
        &"0".repeat(1024),
        &"0.".repeat(500),
        &"#".repeat(5000),
        "E+",
        "0E+0E+0",
    ] {
        let formats = Formats {
            by_style: vec![0],
            formats: vec![parse(code)],
            from_1904: false,
        };
        for value in ["1", "-1e308", "1e-308", "0"] {
            assert!(formats.show(value, 0).len() < 500, "{code}");
        }
    }
}
