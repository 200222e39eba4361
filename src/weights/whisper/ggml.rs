//! Writing whisper.cpp's model file: eleven sizes, the mel filters, the words, then the tensors.
//! (`models/convert-pt-to-ggml.py` and `examples/common-ggml.cpp` of whisper.cpp describe it.)

use std::io::{self, Write};

use super::{
    ConvertError,
    ctranslate::{Weights, half_of_f32},
};
use crate::domain::mel;

/// `ggml` as whisper.cpp looks for it.
const MAGIC: u32 = 0x6767_6d6c;
/// 8-bit weights (`GGML_FTYPE_MOSTLY_Q8_0`), second version of the quantised forms.
const FILE_TYPE: i32 = 2007;
/// Values that share a scale in an 8-bit tensor.
const BLOCK: usize = 32;
/// Words of the English models, those that stand for signs included.
const ENGLISH: usize = 51_864;
/// Words that are written to the file: the last is the end of a text; whisper.cpp makes up the others.
const WORDS: usize = 50_257;

/// How a tensor is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole = 0,
    Half = 1,
    Eight = 8,
}

struct Tensor {
    name: String,
    /// The outermost first.
    shape: Vec<usize>,
    form: Form,
    values: Vec<f32>,
}

pub(super) struct Model {
    sizes: [i32; 11],
    words: Vec<Vec<u8>>,
    tensors: Vec<Tensor>,
}

pub(super) fn build(weights: &Weights, vocabulary: &str) -> Result<Model, ConvertError> {
    let words = words(vocabulary)?;
    let mut build = Build {
        weights,
        tensors: Vec::new(),
        state: 0,
    };
    let (bands, positions, layers) = build.encoder()?;
    let (text_positions, text_layers) = build.decoder()?;
    let state = build.state as i32;
    let sizes = [
        ENGLISH as i32,
        positions as i32,
        state,
        state / 64,
        layers,
        text_positions as i32,
        state,
        state / 64,
        text_layers,
        bands as i32,
        FILE_TYPE,
    ];
    Ok(Model {
        sizes,
        words,
        tensors: build.tensors,
    })
}

struct Build<'a> {
    weights: &'a Weights<'a>,
    tensors: Vec<Tensor>,
    /// Values of one state.
    state: usize,
}

impl Build<'_> {
    /// Bands of the sound, positions, layers.
    fn encoder(&mut self) -> Result<(usize, usize, i32), ConvertError> {
        let first = self.weights.get("encoder/conv1/weight")?;
        let &[state, bands, _] = first.shape.as_slice() else {
            return Err(shaped("encoder/conv1/weight"));
        };
        if bands != mel::BANDS || !state.is_multiple_of(64) || state == 0 {
            return Err(shaped("encoder/conv1/weight"));
        }
        self.state = state;
        let positions = self.positions("encoder")?;
        for n in [1, 2] {
            let (from, to) = (format!("encoder/conv{n}"), format!("encoder.conv{n}"));
            let weight = self.weights.get(&format!("{from}/weight"))?;
            self.put(
                format!("{to}.weight"),
                weight.shape.clone(),
                weight.values(),
            );
            let bias = self.values(&format!("{from}/bias"), state)?;
            self.put(format!("{to}.bias"), vec![state, 1], bias);
        }
        let mut layers = 0;
        while self.weights.has(&format!(
            "encoder/layer_{layers}/self_attention/linear_0/weight"
        )) {
            let (from, to) = (
                format!("encoder/layer_{layers}"),
                format!("encoder.blocks.{layers}"),
            );
            self.norm(
                &format!("{from}/self_attention/layer_norm"),
                &format!("{to}.attn_ln"),
            )?;
            self.attention(
                &format!("{from}/self_attention"),
                &format!("{to}.attn"),
                false,
            )?;
            self.norm(&format!("{from}/ffn/layer_norm"), &format!("{to}.mlp_ln"))?;
            self.feed_forward(&format!("{from}/ffn"), &format!("{to}.mlp"))?;
            layers += 1;
        }
        self.norm("encoder/layer_norm", "encoder.ln_post")?;
        Ok((bands, positions, layers))
    }

    /// Positions, layers.
    fn decoder(&mut self) -> Result<(usize, i32), ConvertError> {
        let positions = self.positions("decoder")?;
        let name = "decoder/embeddings/weight";
        let embeddings = self.weights.get(name)?;
        match *embeddings.shape {
            // Some are padded.
            [words, state] if words >= ENGLISH && state == self.state => {}
            _ => return Err(shaped(name)),
        }
        let mut values = embeddings.values();
        values.truncate(ENGLISH * self.state);
        let shape = vec![ENGLISH, self.state];
        self.put("decoder.token_embedding.weight".to_owned(), shape, values);
        let mut layers = 0;
        while self.weights.has(&format!(
            "decoder/layer_{layers}/self_attention/linear_0/weight"
        )) {
            let (from, to) = (
                format!("decoder/layer_{layers}"),
                format!("decoder.blocks.{layers}"),
            );
            for (part, name, cross) in [
                ("self_attention", "attn", false),
                ("attention", "cross_attn", true),
            ] {
                self.norm(
                    &format!("{from}/{part}/layer_norm"),
                    &format!("{to}.{name}_ln"),
                )?;
                self.attention(&format!("{from}/{part}"), &format!("{to}.{name}"), cross)?;
            }
            self.norm(&format!("{from}/ffn/layer_norm"), &format!("{to}.mlp_ln"))?;
            self.feed_forward(&format!("{from}/ffn"), &format!("{to}.mlp"))?;
            layers += 1;
        }
        self.norm("decoder/layer_norm", "decoder.ln")?;
        Ok((positions, layers))
    }

    fn positions(&mut self, side: &str) -> Result<usize, ConvertError> {
        let name = format!("{side}/position_encodings/encodings");
        let values = self.weights.get(&name)?.values();
        if values.is_empty() || !values.len().is_multiple_of(self.state) {
            return Err(shaped(&name));
        }
        let positions = values.len() / self.state;
        let shape = vec![positions, self.state];
        self.put(format!("{side}.positional_embedding"), shape, values);
        Ok(positions)
    }

    fn norm(&mut self, from: &str, to: &str) -> Result<(), ConvertError> {
        for (part, name) in [("gamma", "weight"), ("beta", "bias")] {
            let values = self.values(&format!("{from}/{part}"), self.state)?;
            self.put(format!("{to}.{name}"), vec![self.state], values);
        }
        Ok(())
    }

    /// What CTranslate2 has in one matrix (query, key and value of a text that looks at itself; key and value
    /// of one that looks at the sound) is taken apart. The key has no bias.
    fn attention(&mut self, from: &str, to: &str, cross: bool) -> Result<(), ConvertError> {
        let state = self.state;
        let square = state * state;
        let joined = |build: &Self, n: usize, parts: usize| {
            let weight = build.values(&format!("{from}/linear_{n}/weight"), parts * square)?;
            let bias = build.values(&format!("{from}/linear_{n}/bias"), parts * state)?;
            Ok::<_, ConvertError>((weight, bias))
        };
        let (query, key, value, out);
        if cross {
            query = joined(self, 0, 1)?;
            let (weight, bias) = joined(self, 1, 2)?;
            key = weight[..square].to_vec();
            value = (weight[square..].to_vec(), bias[state..].to_vec());
            out = joined(self, 2, 1)?;
        } else {
            let (weight, bias) = joined(self, 0, 3)?;
            query = (weight[..square].to_vec(), bias[..state].to_vec());
            key = weight[square..2 * square].to_vec();
            value = (weight[2 * square..].to_vec(), bias[2 * state..].to_vec());
            out = joined(self, 1, 1)?;
        }
        let matrix = vec![state, state];
        let mut put = |name: &str, shape: Vec<usize>, values| {
            self.put(format!("{to}.{name}"), shape, values);
        };
        put("query.weight", matrix.clone(), query.0);
        put("query.bias", vec![state], query.1);
        put("key.weight", matrix.clone(), key);
        put("value.weight", matrix.clone(), value.0);
        put("value.bias", vec![state], value.1);
        put("out.weight", matrix, out.0);
        put("out.bias", vec![state], out.1);
        Ok(())
    }

    fn feed_forward(&mut self, from: &str, to: &str) -> Result<(), ConvertError> {
        let (narrow, wide) = (self.state, 4 * self.state);
        for (n, name, rows, columns) in [(0, 0, wide, narrow), (1, 2, narrow, wide)] {
            let weight = self.values(&format!("{from}/linear_{n}/weight"), rows * columns)?;
            self.put(format!("{to}.{name}.weight"), vec![rows, columns], weight);
            let bias = self.values(&format!("{from}/linear_{n}/bias"), rows)?;
            self.put(format!("{to}.{name}.bias"), vec![rows], bias);
        }
        Ok(())
    }

    /// The tensor's values, which are so many.
    fn values(&self, name: &str, wanted: usize) -> Result<Vec<f32>, ConvertError> {
        let values = self.weights.get(name)?.values();
        if values.len() == wanted {
            Ok(values)
        } else {
            Err(shaped(name))
        }
    }

    fn put(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        let form = match shape.as_slice() {
            [_] | [_, 1] => Form::Whole,
            _ if name.ends_with("positional_embedding") => Form::Whole,
            [_, columns] if columns.is_multiple_of(BLOCK) => Form::Eight,
            _ => Form::Half,
        };
        self.tensors.push(Tensor {
            name,
            shape,
            form,
            values,
        });
    }
}

fn shaped(name: &str) -> ConvertError {
    ConvertError::OtherModel {
        name: name.to_owned(),
        problem: "has another shape",
    }
}

/// The bytes of each word. GPT-2 writes a byte as the letter of that number, where that can be seen; the
/// others as the letters from 256 on, in order.
fn words(vocabulary: &str) -> Result<Vec<Vec<u8>>, ConvertError> {
    let bad = ConvertError::OtherVocabulary;
    let seen = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let hidden: Vec<u8> = (0..=u8::MAX).filter(|byte| !seen(*byte)).collect();
    let byte_of = |letter: char| {
        let number = letter as usize;
        match u8::try_from(number) {
            Ok(byte) if seen(byte) => Some(byte),
            Ok(_) => None,
            Err(_) => hidden.get(number - 256).copied(),
        }
    };
    let mut lines = vocabulary.lines();
    let words = lines
        .by_ref()
        .take(WORDS)
        .map(|line| line.chars().map(byte_of).collect())
        .collect::<Option<Vec<Vec<u8>>>>()
        .ok_or(bad("a line is not in GPT-2's letters"))?;
    match words.last() {
        Some(last) if words.len() == WORDS && last == b"<|endoftext|>" => Ok(words),
        _ => Err(bad("it is not that of the English models")),
    }
}

impl Model {
    pub(super) fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let mut put = |number: i32| output.write_all(&number.to_le_bytes());
        put(MAGIC as i32)?;
        for size in self.sizes {
            put(size)?;
        }
        put(mel::BANDS as i32)?;
        put(mel::BINS as i32)?;
        for weight in mel::filters() {
            output.write_all(&weight.to_le_bytes())?;
        }
        output.write_all(&(self.words.len() as i32).to_le_bytes())?;
        for word in &self.words {
            output.write_all(&(word.len() as i32).to_le_bytes())?;
            output.write_all(word)?;
        }
        for tensor in &self.tensors {
            tensor.write(output)?;
        }
        Ok(())
    }
}

impl Tensor {
    fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let header = [self.shape.len(), self.name.len(), self.form as usize];
        // The innermost dimension comes first.
        for number in header.into_iter().chain(self.shape.iter().rev().copied()) {
            output.write_all(&(number as i32).to_le_bytes())?;
        }
        output.write_all(self.name.as_bytes())?;
        match self.form {
            Form::Whole => {
                (self.values.iter()).try_for_each(|value| output.write_all(&value.to_le_bytes()))
            }
            Form::Half => (self.values.iter())
                .try_for_each(|value| output.write_all(&half_of_f32(*value).to_le_bytes())),
            Form::Eight => (self.values.chunks_exact(BLOCK))
                .try_for_each(|block| output.write_all(&eight_bits(block))),
        }
    }
}

/// A block of values as a scale and 8 bits each.
fn eight_bits(block: &[f32]) -> [u8; 2 + BLOCK] {
    let most = block
        .iter()
        .fold(0_f32, |most, value| most.max(value.abs()));
    let scale = most / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut bytes = [0; 2 + BLOCK];
    bytes[..2].copy_from_slice(&half_of_f32(scale).to_le_bytes());
    for (byte, value) in bytes[2..].iter_mut().zip(block) {
        *byte = (value * inverse).round() as i8 as u8;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_eight_bits() {
        let mut block = [0.0; BLOCK];
        block[0] = 127.0;
        block[1] = -63.5;
        block[2] = 0.49;
        let bytes = eight_bits(&block);
        assert_eq!(bytes[..2], 0x3c00_u16.to_le_bytes());
        // Halves go away from zero.
        assert_eq!(bytes[2..6], [127, -64_i8 as u8, 0, 0]);
        assert_eq!(eight_bits(&[0.0; BLOCK]), [0; 2 + BLOCK]);
    }
}
