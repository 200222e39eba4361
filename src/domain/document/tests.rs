use super::*;

#[test]
fn names_agree_with_serde() {
    for kind in MediaType::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert_eq!(
        serde_json::to_value(FailureCode::NoText).unwrap(),
        "no_text"
    );
    assert_eq!("failed".parse(), Ok(Status::Failed));
}

#[test]
fn names_are_names_only() {
    let check = |given: &str, expected: &str| assert_eq!(clean_name(given), expected, "{given:?}");
    check("lease.pdf", "lease.pdf");
    check("../../etc/passwd", "passwd");
    check("C:\\papers\\lease.pdf", "lease.pdf");
    check("a\u{202e}fdp.exe\n", "afdp.exe");
    check(" Mietvertrag Müller.pdf ", "Mietvertrag Müller.pdf");
    check("", "unnamed");
    check("x/..", "unnamed");
    check(&"ä".repeat(300), &"ä".repeat(255));
}
