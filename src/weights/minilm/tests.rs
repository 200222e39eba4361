use std::{env, path::PathBuf, sync::OnceLock};

use rten::{ModelOptions, ValueOrView};
use rten_tensor::{NdTensor, prelude::*};
use sha2::{Digest, Sha256};

use super::*;

/// The tensors of the architecture.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".into(), vec![30522, 384]),
        (
            "embeddings.position_embeddings.weight".into(),
            vec![512, 384],
        ),
        (
            "embeddings.token_type_embeddings.weight".into(),
            vec![2, 384],
        ),
        ("embeddings.LayerNorm.weight".into(), vec![384]),
        ("embeddings.LayerNorm.bias".into(), vec![384]),
    ];
    for layer in 0..6 {
        let mut add = |name: &str, shape: &[usize]| {
            shapes.push((format!("encoder.layer.{layer}.{name}"), shape.to_vec()));
        };
        for (name, to, from) in [
            ("attention.self.query", 384, 384),
            ("attention.self.key", 384, 384),
            ("attention.self.value", 384, 384),
            ("attention.output.dense", 384, 384),
            ("intermediate.dense", 1536, 384),
            ("output.dense", 384, 1536),
        ] {
            add(&format!("{name}.weight"), &[to, from]);
            add(&format!("{name}.bias"), &[to]);
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            add(&format!("{name}.weight"), &[384]);
            add(&format!("{name}.bias"), &[384]);
        }
    }
    shapes
}

/// A file of these tensors with made-up values: gains of a normalisation about 1, all others between
/// -0.05 and 0.05. Larger ones would drown every token in the same sum.
fn file(shapes: &[(String, Vec<usize>)]) -> Vec<u8> {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in shapes {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let entry = serde_json::json!({
            "dtype": "F32", "shape": shape, "data_offsets": [start, end],
        });
        header.insert(name.clone(), entry);
    }
    header.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    let mut state = 1_u32;
    for (name, shape) in shapes {
        let middle = if name.ends_with("LayerNorm.weight") {
            1.0
        } else {
            0.0
        };
        for _ in 0..shape.iter().product::<usize>() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let spread = ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) / 10.0;
            file.extend((middle + spread).to_le_bytes());
        }
    }
    file
}

/// The whole made-up file, 91 MB, made once.
fn whole() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| file(&shapes()))
}

fn converted(safetensors: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let mut onnx = Vec::new();
    convert(safetensors, &mut onnx).map(|()| onnx)
}

/// What the model gives for the tokens, `[1, tokens, 384]`, those from `real` on being padding.
fn run(model: &rten::Model, tokens: &[i32], real: usize) -> NdTensor<f32, 3> {
    let row = |values: Vec<i32>| NdTensor::from_data([1, tokens.len()], values);
    let mask = (0..tokens.len()).map(|n| i32::from(n < real)).collect();
    let inputs = [
        ("input_ids", row(tokens.to_vec())),
        ("attention_mask", row(mask)),
        ("token_type_ids", row(vec![0; tokens.len()])),
    ];
    let inputs = inputs
        .into_iter()
        .map(|(name, tensor)| (model.node_id(name).unwrap(), ValueOrView::from(tensor)))
        .collect();
    let output = model.node_id("last_hidden_state").unwrap();
    let [output] = model.run_n(inputs, [output], None).unwrap();
    output.try_into().unwrap()
}

#[test]
fn the_model_runs_and_padding_does_not_matter() {
    let onnx = converted(whole()).unwrap();
    assert_eq!(
        onnx,
        converted(whole()).unwrap(),
        "the same bytes each time"
    );
    let model = ModelOptions::with_all_ops().load(onnx).unwrap();

    let plain = run(&model, &[101, 2003, 7592, 102], 4);
    let padded = run(&model, &[101, 2003, 7592, 102, 0, 0, 0], 4);
    assert_eq!(plain.shape(), [1, 4, 384]);
    let mut spread = 0.0_f32;
    for token in 0..4 {
        for at in 0..384 {
            let (a, b) = (plain[[0, token, at]], padded[[0, token, at]]);
            assert!((a - b).abs() < 1e-3, "{a} {b}");
            spread = spread.max((a - plain[[0, 0, at]]).abs());
        }
    }
    assert!(
        spread > 0.1,
        "different tokens come out different: {spread}"
    );
}

#[test]
fn damaged_files_are_refused() {
    let good = file(&[("embeddings.LayerNorm.bias".into(), vec![384])]);
    for end in [0, 7, 8, 40, good.len() - 1] {
        let error = converted(&good[..end]).unwrap_err();
        assert!(matches!(error, ConvertError::NotSafetensors(_)), "{error}");
    }
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend(b"{}");
    let error = converted(&huge).unwrap_err();
    assert!(matches!(error, ConvertError::NotSafetensors(_)), "{error}");
}

#[test]
fn other_models_are_refused() {
    let mut small = shapes();
    small[0].1 = vec![8, 384];
    small[1].1 = vec![8, 384];
    let error = converted(&file(&small[..2])).unwrap_err().to_string();
    assert_eq!(
        error,
        "the weights are not those of all-MiniLM-L6-v2: tensor `embeddings.word_embeddings.weight` \
         should be 32-bit floats of shape [30522, 384], but is F32 of [8, 384]"
    );
    let error = converted(&file(&[])).unwrap_err().to_string();
    assert!(error.ends_with("but there is none"), "{error}");
}

/// The package's weights give the file that the manifest names. Compared with onnxruntime (2026-11-21):
/// sentence vectors agree with those of the graph that `minilm_onnx.py` of the measurements made to
/// 6e-8 in each value.
#[test]
fn the_published_weights_give_the_recorded_file() {
    let Some(path) = env::var_os("GRIOT_TEST_SAFETENSORS").map(PathBuf::from) else {
        println!("skipped: GRIOT_TEST_SAFETENSORS does not name model.safetensors");
        return;
    };
    let onnx = converted(&fs::read(path).unwrap()).unwrap();
    assert_eq!(hex::encode(Sha256::digest(&onnx)), ONNX_SHA256);
}
