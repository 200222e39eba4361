//! `/openapi.json` itself.

use std::collections::BTreeSet;

use crate::app::TestApp;

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let app = TestApp::start().await;
    let api = app.get("/openapi.json").await.json();
    let text = api.to_string();
    let named: BTreeSet<&str> = text
        .split("\"#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(named.contains("Problem"));
    for name in named {
        assert!(
            !api["components"]["schemas"][name].is_null(),
            "{name} is named and not described"
        );
    }
}

/// The promises of the contract, one operation a line, with what each may answer.
#[tokio::test]
async fn operations_and_their_answers() {
    let app = TestApp::start().await;
    let api = app.get("/openapi.json").await.json();
    let mut lines = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let statuses: Vec<&str> = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            lines.push(format!(
                "{} {path}: {}",
                method.to_uppercase(),
                statuses.join(" ")
            ));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}
