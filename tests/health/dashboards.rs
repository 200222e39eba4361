//! What Prometheus and Grafana are given beside griot: the rules hold by Prometheus's own check, and every
//! metric they name is one that the daemon writes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_rules_hold() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("skipped: there is no promtool here (Debian: apt-get install prometheus)");
        return;
    }
    for arguments in [
        ["check", "rules", "docker/prometheus/rules.yml"],
        ["test", "rules", "docker/prometheus/rules_test.yml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(at(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Names that begin with `griot_`.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    words
        .filter(|word| word.starts_with("griot_"))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_metric_that_is_shown_is_written() {
    let mut text = String::new();
    sources(&at("src"), &mut text);
    let written = metrics(&text);
    for file in [
        "docker/prometheus/rules.yml",
        "docker/grafana/dashboards/griot.json",
    ] {
        let shown = metrics(&fs::read_to_string(at(file)).unwrap());
        assert!(shown.len() > 5, "{file} shows nothing");
        let missing: Vec<_> = shown.difference(&written).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}

#[test]
fn the_dashboard_is_json_with_panels_that_ask_something() {
    let text = fs::read_to_string(at("docker/grafana/dashboards/griot.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        assert!(
            !panel["targets"].as_array().unwrap().is_empty(),
            "{}",
            panel["title"]
        );
    }
}
