//! An embedding model of two megabytes in the shape of the real one, so that the real daemon runs whole
//! without weights: a token is a letter or a pair of letters, its vector is drawn once, a text's vector
//! is their mean. What has the same words lies near; more is not asked of it here.

use std::{fs, path::Path};

use serde_json::{Map, json};

use crate::mutate::Dice;

/// As the real model's; the daemon checks it.
const DIMENSION: usize = 384;

const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// Writes `minilm-l6` below the weights folder `models`.
pub fn write(models: &Path) {
    let folder = models.join("minilm-l6");
    fs::create_dir_all(&folder).unwrap();
    let tokens = vocabulary();
    fs::write(folder.join("tokenizer.json"), tokenizer(&tokens)).unwrap();
    fs::write(folder.join("model.onnx"), model(tokens.len())).unwrap();
}

fn vocabulary() -> Vec<String> {
    let letters: Vec<char> = ('a'..='z').chain('0'..='9').collect();
    let mut tokens: Vec<String> = SPECIAL.map(str::to_owned).to_vec();
    for prefix in ["", "##"] {
        tokens.extend(letters.iter().map(|a| format!("{prefix}{a}")));
        for a in 'a'..='z' {
            tokens.extend(('a'..='z').map(|b| format!("{prefix}{a}{b}")));
        }
    }
    tokens
}

fn tokenizer(tokens: &[String]) -> String {
    let numbers: Map<_, _> = tokens
        .iter()
        .zip(0..)
        .map(|(t, n)| (t.clone(), json!(n)))
        .collect();
    let special = |(token, id): (&&str, usize)| {
        json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let added: Vec<_> = SPECIAL.iter().zip(0..).map(special).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                        "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": numbers },
    })
    .to_string()
}

/// ONNX (onnx.proto3): one `Gather` from a table of vectors.
fn model(tokens: usize) -> Vec<u8> {
    let mut dice = Dice::new(0x6772_696f_7420);
    let table: Vec<u8> = (0..tokens * DIMENSION)
        .flat_map(|_| (dice.below(2001) as f32 / 1000.0 - 1.0).to_le_bytes())
        .collect();
    const FLOAT: u64 = 1;
    const INT64: u64 = 7;
    let tensor = Message::default()
        .number(1, tokens as u64)
        .number(1, DIMENSION as u64)
        .number(2, FLOAT)
        .bytes(8, b"table")
        .bytes(9, &table);
    let node = Message::default()
        .bytes(1, b"table")
        .bytes(1, b"input_ids")
        .bytes(2, b"last_hidden_state")
        .bytes(4, b"Gather");
    let value = |name: &[u8], kind: u64, dimensions: &[&[u8]]| {
        let shape = dimensions.iter().fold(Message::default(), |shape, name| {
            shape.message(1, &Message::default().bytes(2, name))
        });
        let tensor = Message::default().number(1, kind).message(2, &shape);
        Message::default()
            .bytes(1, name)
            .message(2, &Message::default().message(1, &tensor))
    };
    let tokens: [&[u8]; 2] = [b"batch", b"tokens"];
    let graph = Message::default()
        .message(1, &node)
        .bytes(2, b"stand-in")
        .message(5, &tensor)
        .message(11, &value(b"input_ids", INT64, &tokens))
        .message(11, &value(b"attention_mask", INT64, &tokens))
        .message(
            12,
            &value(
                b"last_hidden_state",
                FLOAT,
                &[b"batch", b"tokens", b"values"],
            ),
        );
    let operators = Message::default().bytes(1, b"").number(2, 14);
    Message::default()
        .number(1, 8)
        .message(7, &graph)
        .message(8, &operators)
        .0
}

/// A Protocol Buffers message.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}
