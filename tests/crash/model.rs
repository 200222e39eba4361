//! A small embedding model, made here and run by the daemon's own engine: the daemon needs no weights
//! to be fetched, and no test double stands in it. Its vectors say which letters a text has.

use std::{fs, path::Path};

use serde_json::{Map, json};

/// Values of a vector, as the model that the folder is named after has.
const DIMENSION: usize = 384;

/// Letters that are tokens; each begins a word or goes on in one.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789.,";

/// The name of the model that the daemon takes it for.
pub const NAME: &str = "minilm-l6";

/// Writes the model and its tokenizer to `dir`.
pub fn write(dir: &Path) {
    let folder = dir.join(NAME);
    fs::create_dir_all(&folder).unwrap();
    let words: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        .map(str::to_owned)
        .into_iter()
        .chain(LETTERS.chars().map(String::from))
        .chain(LETTERS.chars().map(|c| format!("##{c}")))
        .collect();
    fs::write(folder.join("model.onnx"), onnx(words.len())).unwrap();
    let vocabulary: Map<_, _> = words.into_iter().zip((0..).map(|n| json!(n))).collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null,
        "decoder": null,
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary },
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

/// One table and one look into it: `last_hidden_state = table[input_ids]`.
///
/// Field numbers are those of `onnx.proto`.
fn onnx(words: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let cells = (0..words * DIMENSION).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 24) as f32 - 0.5).to_le_bytes()
    });
    let table = [
        number(1, words as u64),
        number(1, DIMENSION as u64),
        number(2, 1),
        bytes(8, b"table"),
        bytes(9, &cells.collect::<Vec<u8>>()),
    ];
    let node = [
        bytes(1, b"table"),
        bytes(1, b"input_ids"),
        bytes(2, b"last_hidden_state"),
        bytes(3, b"look"),
        bytes(4, b"Gather"),
        bytes(
            5,
            &[bytes(1, b"axis"), number(3, 0), number(20, 2)].concat(),
        ),
    ];
    let value = |name: &str, kind: u64, last: Option<usize>| {
        let named = |name: &str| bytes(1, &bytes(2, name.as_bytes()));
        let mut shape = [named("batch"), named("tokens")].concat();
        shape.extend(
            last.map(|size| bytes(1, &number(1, size as u64)))
                .unwrap_or_default(),
        );
        let tensor = [number(1, kind), bytes(2, &shape)].concat();
        [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
    };
    let graph = [
        bytes(1, &node.concat()),
        bytes(2, b"letters"),
        bytes(5, &table.concat()),
        bytes(11, &value("input_ids", 7, None)),
        bytes(11, &value("attention_mask", 7, None)),
        bytes(12, &value("last_hidden_state", 1, Some(DIMENSION))),
    ];
    let operators = [bytes(1, b""), number(2, 17)];
    [
        number(1, 8),
        bytes(7, &graph.concat()),
        bytes(8, &operators.concat()),
    ]
    .concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(bytes.len() as u64),
        bytes.to_vec(),
    ]
    .concat()
}
