//! Answers to questions whose answers are known: right, refused when the library does not hold it,
//! and proven to the byte. Asked of the real daemon with its real language model.
//!
//! An answer says by which probability it was given or refused, so one run gives the risk-coverage
//! curve from the daemon's threshold upwards.

mod cases;

use std::{error::Error, fs, io::Write as _, path::Path};

use griot::{config::AnswerConfig, domain::Answer};
use serde::Serialize;
use serde_json::json;

use super::{
    args::Args,
    daemon::{Daemon, DaemonError},
    machine::Stopwatch,
    metrics::{Decision, auc, holds_answer, mean, percentile, risk_coverage},
    table::{Bar, Section, Table, number, percent},
};
pub use cases::samples;
use cases::{Case, Plan, Sort};

/// What came of one question.
#[derive(Debug, Serialize)]
struct Outcome {
    sort: Sort,
    question: String,
    expected: Vec<String>,
    answer: String,
    quotes: Vec<String>,
    /// Whether it was answered at all.
    supported: bool,
    /// What the decision went by; 0 where nothing could be quoted.
    probability: f64,
    /// The expected answer is in the answer or its quotations.
    holds: bool,
    /// The expected answer is in the evidence: what retrieval made possible.
    in_evidence: bool,
    /// Every citation's quotation equals the stored bytes.
    proven: bool,
    degraded: usize,
    retrieve_ms: u64,
    first_token_ms: u64,
    total_ms: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    cpu_daemon_s: f64,
    cpu_worker_s: f64,
}

impl Outcome {
    fn right(&self) -> bool {
        self.holds && self.sort.has_answer()
    }

    /// Refused stays refused, whatever the threshold.
    fn decision(&self) -> Decision {
        Decision {
            score: if self.supported {
                self.probability
            } else {
                -1.0
            },
            right: self.right(),
        }
    }
}

/// Asks, and says what came of it. `None` when there is no set of questions here.
pub async fn run(args: &Args) -> Result<Option<Section>, Box<dyn Error>> {
    let Some(plan) = Plan::make(args)? else {
        return Ok(None);
    };
    let watch = Stopwatch::start();
    fs::create_dir_all(&args.out)?;
    let threshold = args.threshold.unwrap_or(AnswerConfig::default().threshold);
    let settings = [
        ("GRIOT__ANSWER__THRESHOLD", threshold.to_string()),
        // What is judged are answers; a machine busy with other work shall not turn them into lesser ones.
        ("GRIOT__LLM__FIRST_TOKEN_TIMEOUT_S", "600".to_owned()),
        ("GRIOT__LLM__TOKEN_TIMEOUT_S", "300".to_owned()),
        // The log then has the signals of every decision, for scripts/fit_support.py.
        ("GRIOT__LOG__LEVEL", "info,griot::answer=debug".to_owned()),
    ];
    let daemon = Daemon::start(
        args.models.as_deref(),
        &settings,
        &args.out.join("answers-daemon.log"),
    )?;
    for (collection, files) in plan.libraries {
        eprintln!("bench: answers: {} documents for {collection}", files.len());
        let ids = daemon.upload(files, &collection).await?;
        daemon.wait(&ids).await?;
    }
    let mut outcomes = ask_all(&daemon, &plan.cases, &args.out.join("answers.jsonl")).await?;
    let asked = outcomes.len();
    outcomes.retain(|outcome| outcome.degraded == 0);
    let degraded = asked - outcomes.len();
    let cpu = daemon.cpu_seconds();
    drop(daemon);
    let mut section = section(&outcomes, cpu, (args.seed, f64::from(threshold)), &watch);
    if degraded > 0 {
        section.notes.push(format!(
            "{degraded} of {asked} answers came at a lower level, without the language model, and are left out."
        ));
    }
    Ok(Some(section))
}

async fn ask_all(
    daemon: &Daemon,
    cases: &[Case],
    log: &Path,
) -> Result<Vec<Outcome>, Box<dyn Error>> {
    // The worker loads its weights with the first question, which is not counted.
    if let Some(first) = cases.first() {
        daemon.ask(&first.question, &first.collection).await?;
    }
    let mut log = fs::File::create(log)?;
    let mut outcomes = Vec::with_capacity(cases.len());
    for (number, case) in cases.iter().enumerate() {
        let before = daemon.cpu_seconds();
        let answer = match daemon.ask(&case.question, &case.collection).await {
            Ok(answer) => answer,
            Err(error) => {
                // What was asked so far is worth reporting; its counts say how many that is.
                eprintln!("bench: answers: stopped after {number} questions: {error}");
                break;
            }
        };
        let after = daemon.cpu_seconds();
        let outcome = judge(
            daemon,
            case,
            answer,
            (after.0 - before.0, after.1 - before.1),
        )
        .await?;
        eprintln!(
            "bench: answers: {}/{} {:?} p {:.2} {} {:.1} s",
            number + 1,
            cases.len(),
            outcome.sort,
            outcome.probability,
            if outcome.holds { "holds" } else { "lacks" },
            outcome.total_ms as f64 / 1e3,
        );
        serde_json::to_writer(&mut log, &outcome)?;
        writeln!(log)?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

async fn judge(
    daemon: &Daemon,
    case: &Case,
    answer: Answer,
    cpu: (f64, f64),
) -> Result<Outcome, DaemonError> {
    let mut proven = true;
    for citation in &answer.citations {
        let stored = daemon
            .text(citation.document_id, citation.start, citation.end)
            .await?;
        proven &= !citation.quote.is_empty() && stored == citation.quote.as_bytes();
    }
    let quotes: Vec<String> = answer
        .citations
        .iter()
        .map(|citation| citation.quote.clone())
        .collect();
    let shown = format!("{}\n{}", answer.answer, quotes.join("\n"));
    Ok(Outcome {
        sort: case.sort,
        question: case.question.clone(),
        expected: case.accepted.clone(),
        supported: answer.supported,
        probability: answer.support.map_or(0.0, f64::from),
        holds: answer.supported && holds_answer(&shown, &case.accepted),
        in_evidence: answer
            .evidence
            .iter()
            .any(|item| holds_answer(&item.text, &case.accepted)),
        proven,
        answer: answer.answer,
        quotes,
        degraded: answer.degraded.len(),
        retrieve_ms: answer.timings_ms.retrieve,
        first_token_ms: answer.timings_ms.first_token,
        total_ms: answer.timings_ms.total,
        prompt_tokens: answer.usage.prompt_tokens,
        completion_tokens: answer.usage.completion_tokens,
        cpu_daemon_s: cpu.0,
        cpu_worker_s: cpu.1,
    })
}

/// Thresholds of the published curve; those under the daemon's own are left out.
const CURVE: [f64; 12] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

fn section(
    outcomes: &[Outcome],
    cpu: (f64, f64),
    (seed, threshold): (u64, f64),
    watch: &Stopwatch,
) -> Section {
    let of = |sort: Sort| -> Vec<&Outcome> {
        outcomes
            .iter()
            .filter(|outcome| outcome.sort == sort)
            .collect()
    };
    let mut measured = Table::new(&[
        "questions",
        "n",
        "right",
        "answered wrong",
        "refused",
        "answer was in the evidence",
    ]);
    for sort in Sort::ALL {
        let asked = of(sort);
        if asked.is_empty() {
            continue;
        }
        let right = asked.iter().filter(|outcome| outcome.right()).count();
        let answered = asked.iter().filter(|outcome| outcome.supported).count();
        let found = asked.iter().filter(|outcome| outcome.in_evidence).count();
        let n = asked.len();
        measured.row([
            sort.label().to_owned(),
            n.to_string(),
            if sort.has_answer() {
                percent(right, n)
            } else {
                "–".to_owned()
            },
            percent(answered - right, n),
            percent(n - answered, n),
            if sort.has_answer() {
                percent(found, n)
            } else {
                "–".to_owned()
            },
        ]);
    }
    let tables = vec![measured, curve(outcomes, threshold), times(outcomes)];
    let probabilities = |sort| {
        of(sort)
            .iter()
            .map(|outcome| outcome.probability)
            .collect::<Vec<_>>()
    };
    let told_apart = |sort| auc(&probabilities(Sort::Answerable), &probabilities(sort));
    let cited = outcomes
        .iter()
        .filter(|outcome| !outcome.quotes.is_empty())
        .count();
    let proven = outcomes
        .iter()
        .filter(|outcome| !outcome.quotes.is_empty() && outcome.proven)
        .count();
    Section {
        title: "Answers".to_owned(),
        measured: watch.provenance(),
        notes: vec![
            format!(
                "Questions of SQuAD2's development set about the eight articles that were not used to fit \
                 the threshold, seed {seed}, asked of the running daemon over HTTP. Each paragraph is a \
                 document. Right: the expected answer stands in the answer or its quotation. Absent: the \
                 article is not in the library asked. Adversarial: a paragraph seems to answer it and \
                 does not. Threshold {threshold:.2}; ± is the 95 % interval."
            ),
            format!(
                "AUC of the decision's probability, answerable against adversarial {}, against absent {}. \
                 Processor seconds of the daemon {:.0}, of griot-llm {:.0}.",
                number(told_apart(Sort::Adversarial), 2),
                number(told_apart(Sort::Absent), 2),
                cpu.0,
                cpu.1
            ),
        ],
        bars: bars(outcomes, told_apart(Sort::Adversarial), (proven, cited)),
        tables,
        figures: json!({
            "seed": seed,
            "threshold": threshold,
            "auc_adversarial": told_apart(Sort::Adversarial),
            "auc_absent": told_apart(Sort::Absent),
            "auc_rgb": auc(&probabilities(Sort::Rgb), &probabilities(Sort::RgbAbsent)),
            "proven": proven,
            "cited": cited,
            "cpu_s": { "daemon": cpu.0, "griot_llm": cpu.1 },
            "outcomes": outcomes,
        }),
    }
}

fn curve(outcomes: &[Outcome], threshold: f64) -> Table {
    let decisions = |sorts: &[Sort]| -> Vec<Decision> {
        let among = outcomes
            .iter()
            .filter(|outcome| sorts.contains(&outcome.sort));
        among.map(Outcome::decision).collect()
    };
    let mut thresholds = vec![threshold];
    thresholds.extend(CURVE.iter().filter(|other| **other > threshold));
    let usual = risk_coverage(&decisions(&[Sort::Answerable, Sort::Absent]), &thresholds);
    let all = risk_coverage(
        &decisions(&[Sort::Answerable, Sort::Absent, Sort::Adversarial]),
        &thresholds,
    );
    let mut table = Table::new(&[
        "threshold",
        "answered of answerable and absent",
        "of these right",
        "answered, adversarial too",
        "of these right",
    ]);
    for (usual, all) in usual.iter().zip(&all) {
        let share = |value: Option<f64>| number(value.map(|value| value * 100.0), 0) + " %";
        table.row([
            number(Some(usual.threshold), 2),
            share(Some(usual.coverage)),
            share(usual.precision),
            share(Some(all.coverage)),
            share(all.precision),
        ]);
    }
    table
}

fn times(outcomes: &[Outcome]) -> Table {
    let answered: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.supported)
        .collect();
    let mut table = Table::new(&["of the answered", "p50", "p90", "mean"]);
    let mut add = |name: &str, scale: f64, decimals: usize, value: &dyn Fn(&Outcome) -> f64| {
        let values: Vec<f64> = answered
            .iter()
            .map(|outcome| value(outcome) / scale)
            .collect();
        table.row([
            name.to_owned(),
            number(percentile(&values, 0.5), decimals),
            number(percentile(&values, 0.9), decimals),
            number(mean(&values), decimals),
        ]);
    };
    add("retrieval, ms", 1.0, 0, &|outcome| {
        outcome.retrieve_ms as f64
    });
    add("first token, s", 1e3, 1, &|outcome| {
        outcome.first_token_ms as f64
    });
    add("whole answer, s", 1e3, 1, &|outcome| {
        outcome.total_ms as f64
    });
    add("prompt tokens, all calls", 1.0, 0, &|outcome| {
        outcome.prompt_tokens as f64
    });
    add("written tokens, all calls", 1.0, 0, &|outcome| {
        outcome.completion_tokens as f64
    });
    add("daemon, CPU s", 1.0, 2, &|outcome| outcome.cpu_daemon_s);
    add("griot-llm, CPU s", 1.0, 1, &|outcome| outcome.cpu_worker_s);
    table
}

fn bars(outcomes: &[Outcome], auc: Option<f64>, proven: (usize, usize)) -> Vec<Bar> {
    let count = |sort: Sort, good: &dyn Fn(&Outcome) -> bool| {
        let of_sort = || outcomes.iter().filter(|outcome| outcome.sort == sort);
        (
            of_sort().filter(|outcome| good(outcome)).count(),
            of_sort().count(),
        )
    };
    let share = |what: &str, wanted: f64, (good, n): (usize, usize), enough: usize| Bar {
        what: what.to_owned(),
        wanted: format!("≥ {:.0} %", wanted * 100.0),
        got: percent(good, n),
        met: (n >= enough).then_some(good as f64 >= wanted * n as f64),
    };
    let right = count(Sort::Answerable, &|outcome| outcome.right());
    let refused = count(Sort::Absent, &|outcome| !outcome.supported);
    let adversarial = count(Sort::Adversarial, &|_| true).1;
    if right.1 == 0 {
        return vec![share(
            "quotations equal to the stored bytes",
            1.0,
            proven,
            1,
        )];
    }
    vec![
        share("answerable right", 0.7, right, 60),
        share(
            "refused when the article is not in the library",
            0.9,
            refused,
            40,
        ),
        Bar {
            what: "adversarial told apart (AUC)".to_owned(),
            wanted: "≥ 0.80".to_owned(),
            got: number(auc, 2),
            met: auc.filter(|_| adversarial >= 40).map(|auc| auc >= 0.8),
        },
        share("quotations equal to the stored bytes", 1.0, proven, 1),
    ]
}
