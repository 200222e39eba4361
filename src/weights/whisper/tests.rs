use super::*;

/// A model file with these tensors of 32-bit floats.
fn model(spec: &str, tensors: &[(&str, &[u32], usize)]) -> Vec<u8> {
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u16 + 1).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.push(0);
    };
    let mut bytes = 6_u32.to_le_bytes().to_vec();
    text(&mut bytes, spec);
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend((tensors.len() as u32).to_le_bytes());
    for (name, shape, values) in tensors {
        text(&mut bytes, name);
        bytes.push(shape.len() as u8);
        shape
            .iter()
            .for_each(|length| bytes.extend(length.to_le_bytes()));
        bytes.push(0);
        bytes.extend((*values as u32 * 4).to_le_bytes());
        bytes.resize(bytes.len() + values * 4, 0);
    }
    bytes.extend(0_u32.to_le_bytes());
    bytes
}

/// As many words as there are, the last the end of a text.
fn vocabulary() -> String {
    "a\n".repeat(50_256) + "<|endoftext|>\n" + "<|x|>\n"
}

#[test]
fn what_is_not_the_model_is_refused() {
    let check = |weights: &[u8], vocabulary: &str, expected: &str| {
        let mut output = Vec::new();
        let error = convert(weights, vocabulary, &mut output).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(
            output.is_empty(),
            "nothing is written before everything is known to be right"
        );
    };
    let words = vocabulary();
    check(b"", &words, "cut off");
    check(&[9; 400], &words, "version");
    check(&model("BertSpec", &[]), &words, "not a Whisper");
    check(
        &model("WhisperSpec", &[]),
        &words,
        "`encoder/conv1/weight` is missing",
    );
    check(
        &model(
            "WhisperSpec",
            &[("encoder/conv1/weight", &[64, 80, 3], 64 * 80 * 3)],
        ),
        &words,
        "`encoder/position_encodings/encodings` is missing",
    );
    check(
        &model(
            "WhisperSpec",
            &[("encoder/conv1/weight", &[64, 7, 3], 64 * 7 * 3)],
        ),
        &words,
        "`encoder/conv1/weight` has another shape",
    );
    check(
        &model("WhisperSpec", &[("x", &[1 << 31, 1 << 31, 1 << 31], 3)]),
        &words,
        "size",
    );
    let whole = model("WhisperSpec", &[]);
    check(&whole[..whole.len() - 1], &words, "cut off");
    check(&whole, "a\nb\n", "vocabulary");
    check(&whole, &words.replace("a\n", "a b\n"), "GPT-2's letters");
}
