//! Prompts that begin alike are not read twice, and say the same as if they were.

use serde_json::{Value, json};

use crate::server::{Server, content};

const RULES: &str = "You are a careful librarian. You answer from the passages you are given, in one short \
    sentence, and you never add anything that is not in them. If two passages disagree, say which one is newer. \
    If a number is asked for, give the number first. Do not greet, do not apologise, do not explain yourself.";

fn question(passage: &str, question: &str) -> Value {
    json!({
        "messages": [{"role": "system", "content": RULES},
                     {"role": "user", "content": format!("{passage}\n\n{question}")}],
        "options": {"temperature": 0, "num_predict": 24},
    })
}

const LEASE: &str =
    "Passage 1: Rent is payable on the first day of each calendar month. The deposit is 900 euros.";
const BRIDGE: &str = "Passage 1: The old bridge was built in 1862 and is 48 metres long.";

fn cached(reply: &Value) -> u64 {
    reply["prompt_cached_count"].as_u64().unwrap()
}

#[test]
fn a_common_beginning_is_found_and_changes_nothing() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let Some(cold) = Server::start(&["--slots", "1"]) else {
        return;
    };
    let first = server.chat(question(LEASE, "When is the rent due?"));
    assert_eq!(cached(&first), 0);

    // The same rules with another passage, and back: the rules are known. Then the very same
    // again: all is known but the last token, whose logits are wanted.
    let again = question(LEASE, "How much is the deposit?");
    for (round, known) in [
        (question(BRIDGE, "When was the bridge built?"), 70..90),
        (again.clone(), 70..90),
        (again, 111..112),
    ] {
        let warm = server.chat(round.clone());
        assert!(
            known.contains(&cached(&warm)),
            "{known:?} are known: {warm}"
        );
        // Nothing in common with what went before: read in full.
        cold.chat(json!({
            "messages": [{"role": "system", "content": "0"}],
            "options": {"num_predict": 1},
        }));
        let fresh = cold.chat(round);
        assert!(cached(&fresh) < 10, "{fresh}");
        assert_eq!(content(&warm), content(&fresh));
        assert_eq!(
            warm["prompt_eval_count"], fresh["prompt_eval_count"],
            "all tokens of the prompt are counted"
        );
    }
}

#[test]
fn a_conversation_goes_on_where_it_was() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut body = question(BRIDGE, "How long is the bridge?");
    let first = server.chat(body.clone());
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": content(&first)}));
    messages.push(json!({"role": "user", "content": "And when was it built?"}));
    let second = server.chat(body);
    let known =
        first["prompt_eval_count"].as_u64().unwrap() + first["eval_count"].as_u64().unwrap() - 1;
    assert!(
        cached(&second) >= known,
        "{} of {known} known",
        cached(&second)
    );
    assert!(content(&second).contains("1862"), "{second}");
}

#[test]
fn a_full_cache_gives_up_old_sequences_and_goes_on() {
    let Some(server) = Server::start(&["--context", "256", "--slots", "4"]) else {
        return;
    };
    // Each of these is more than a quarter of the context: four do not fit.
    for number in 0..6 {
        let text = format!("{number} is the number of this text. ").repeat(10);
        let reply = server.chat(json!({
            "messages": [{"role": "user", "content": format!("{text}\nWhich number?")}],
            "options": {"temperature": 0, "num_predict": 8},
        }));
        assert!(reply["prompt_eval_count"].as_u64().unwrap() > 64, "{reply}");
        assert!(
            content(&reply).contains(&number.to_string()),
            "{number}: {reply}"
        );
    }
    let full =
        server.chat(json!({"messages": [{"role": "user", "content": "Write a long story."}]}));
    let together =
        full["prompt_eval_count"].as_u64().unwrap() + full["eval_count"].as_u64().unwrap();
    assert!(
        together <= 256 && (full["done_reason"] == "stop" || together == 256),
        "{full}"
    );
}

#[test]
fn a_long_text_is_kept_beside_another_with_the_same_beginning() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let long = |name: &str| format!("{name} lives by the river. ").repeat(60);
    let one = json!({"messages": [{"role": "system", "content": RULES}, {"role": "user", "content": long("Ada")}],
                     "options": {"temperature": 0, "num_predict": 1}});
    let two = json!({"messages": [{"role": "system", "content": RULES}, {"role": "user", "content": long("Ben")}],
                     "options": {"temperature": 0, "num_predict": 1}});
    let first = server.chat(one.clone());
    let rules = cached(&server.chat(two));
    assert!(rules > 50, "the rules were found: {rules}");
    let again = server.chat(one);
    assert_eq!(
        cached(&again),
        first["prompt_eval_count"].as_u64().unwrap() - 1,
        "the first text is still there"
    );
}
