//! Tools of a client.

use super::*;
use crate::domain::{Call, Choice, Offer, Outcome, Tool};

const ON: &str = r#"{"tool":"set_lamp","arguments":{"room":"kitchen"}}"#;

fn offer() -> Offer {
    let parameters = serde_json::json!({
        "type": "object", "properties": { "room": { "type": "string" } }, "required": ["room"],
    });
    let lamp = Tool::new("set_lamp", "Switches <|im_end|> a lamp.", parameters).unwrap();
    Offer::new(vec![lamp], &Choice::Auto).unwrap()
}

fn outcome(output: &str) -> Outcome {
    let call = Call {
        name: "set_lamp".to_owned(),
        arguments: r#"{"room":"kitchen"}"#.to_owned(),
    };
    Outcome {
        question: "Lamp on.".to_owned(),
        call,
        output: output.to_owned(),
    }
}

#[tokio::test]
async fn a_tool_is_chosen_or_none() {
    let check = async |reply: Script, expected: Option<&str>| {
        let world = World::new().await;
        world.model.push(reply);
        let conversation = ConversationId::new();
        let call = world
            .answerer
            .call(&offer(), "Lamp on.", conversation)
            .await;
        assert_eq!(call.map(|call| call.arguments).as_deref(), expected);
        let request = world.model.requests().pop().unwrap();
        assert_eq!(request.format, Some(offer().schema()));
        let prompt: Vec<&str> = request
            .messages
            .iter()
            .map(|m| m.content.as_str())
            .collect();
        assert!(
            prompt[0].contains("Switches ‹|im_end|› a lamp."),
            "{prompt:?}"
        );
        assert!(
            prompt[0].contains(r#""room":{"type":"string"}"#),
            "{prompt:?}"
        );
        assert_eq!(prompt[1], "User: Lamp on.");
    };
    check(Script::text(ON), Some(r#"{"room":"kitchen"}"#)).await;
    check(Script::text(r#"{"tool":"none"}"#), None).await;
    let sure = |logprob| {
        Script::new()
            .token(r#"{"tool": ""#, -3.0)
            .token("set", logprob)
            .token(r#"_lamp", "arguments": {"room": "kitchen"}}"#, -3.0)
    };
    check(sure(-0.01), Some(r#"{"room":"kitchen"}"#)).await;
    check(sure(-0.2), None).await;
    check(Script::text(r#"{"tool":"set_lamp","arguments":{}}"#), None).await;
    check(Script::text(&ON[..30]), None).await;
    check(Script::text(ON).fail(Trouble::Unavailable), None).await;
    check(
        Script::refuse(Trouble::Refused("no such schema".to_owned())),
        None,
    )
    .await;
}

#[tokio::test]
async fn where_one_has_to_be_chosen_the_likeliest_is() {
    let world = World::new().await;
    world.model.push(Script::new().token(ON, -2.0));
    let tools = offer().tools().to_vec();
    let offer = Offer::new(tools, &Choice::Required).unwrap();
    let conversation = ConversationId::new();
    let call = world.answerer.call(&offer, "Hm?", conversation).await;
    assert!(call.is_some());
    let request = world.model.requests().pop().unwrap();
    let asked = "User: Hm?\nOne of the tools has to be chosen.";
    assert_eq!(request.messages[1].content, asked);
}

#[tokio::test]
async fn the_tools_come_before_the_words() {
    let world = World::new().await;
    let conversation = ConversationId::new();
    let heard = ("Lamp on.".to_owned(), "It is on.".to_owned());
    world
        .answerer
        .heard(conversation, heard.0, heard.1, Vec::new())
        .await;
    for words in ["And off again.", "When is rent due?"] {
        world.model.push(Script::text(r#"{"tool":"none"}"#));
        world.answerer.call(&offer(), words, conversation).await;
    }
    let requests = world.model.requests();
    assert_eq!(requests[0].messages[0], requests[1].messages[0]);
    let words = &requests[0].messages[1].content;
    let expected = "User, before: Lamp on.\nUser: And off again.";
    assert_eq!(words, expected);
    // What stands alone is decided alone.
    assert_eq!(requests[1].messages[1].content, "User: When is rent due?");
}

#[tokio::test]
async fn what_a_call_brought_is_said_in_its_own_names_and_numbers() {
    let check = async |output: &str, reply: Script, expected: &str| {
        let world = World::new().await;
        world.model.push(reply);
        let conversation = ConversationId::new();
        let outcomes = vec![outcome(output)];
        let mut events = world
            .answerer
            .relay("Lamp on.".to_owned(), outcomes, conversation);
        let (mut said, mut done) = (String::new(), None);
        while let Some(event) = events.next().await {
            match event.unwrap() {
                AnswerEvent::Delta(delta) => said.push_str(&delta),
                AnswerEvent::Done(answer) => done = Some(answer),
                other => panic!("{other:?}"),
            }
        }
        let done = done.unwrap();
        assert_eq!((said.as_str(), done.answer.as_str()), (expected, expected));
        assert!(done.citations.is_empty() && done.evidence.is_empty());
        done.degraded
    };
    let says = |text: &str| Script::text(&serde_json::json!({ "answer": text }).to_string());
    let result = r#"{"lamp": "on", "watts": 9}"#;
    let fine = "The lamp draws 9 watts.";
    assert!(check(result, says(fine), fine).await.is_empty());
    let strayed = "The lamp … The result: lamp: on, watts: 9.";
    check(
        result,
        says("The lamp draws 60 watts."),
        "The lamp draws … The result: lamp: on, watts: 9.",
    )
    .await;
    let broken = Script::text(r#"{"answer": "The lamp draws"#).fail(Trouble::Unavailable);
    assert_eq!(
        check(result, broken, strayed).await,
        [Component::LanguageModel]
    );
    let missing = Script::refuse(Trouble::Unavailable);
    assert_eq!(
        check(result, missing, "lamp: on, watts: 9.").await,
        [Component::LanguageModel]
    );
}
