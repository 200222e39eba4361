//! Reading CTranslate2's `model.bin`: a version, the name of the architecture, then tensors by name.

use std::collections::HashMap;

use super::ConvertError;

/// The tensors of a model, borrowed from its bytes.
pub(super) struct Weights<'a> {
    tensors: HashMap<&'a str, Tensor<'a>>,
}

/// A tensor of 32-bit or 16-bit floats.
#[derive(Debug, Clone)]
pub(super) struct Tensor<'a> {
    /// The outermost first.
    pub(super) shape: Vec<usize>,
    half: bool,
    bytes: &'a [u8],
}

/// More tensors or dimensions than any Whisper has.
const MOST: u32 = 10_000;
const MOST_DIMENSIONS: u8 = 4;

impl<'a> Weights<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ConvertError> {
        let mut rest = Cursor(bytes);
        let version = rest.u32()?;
        if !(1..=6).contains(&version) {
            return Err(bad("its version is not known"));
        }
        if rest.text()? != "WhisperSpec" {
            return Err(bad("it is not a Whisper model"));
        }
        rest.u32()?;
        let count = rest.u32()?;
        if count > MOST {
            return Err(bad("it has too many tensors"));
        }
        let mut tensors = HashMap::new();
        for _ in 0..count {
            let name = rest.text()?;
            let rank = rest.u8()?;
            if rank > MOST_DIMENSIONS {
                return Err(bad("a tensor has too many dimensions"));
            }
            let shape = (0..rank)
                .map(|_| rest.u32().map(|length| length as usize))
                .collect::<Result<Vec<_>, _>>()?;
            let kind = rest.u8()?;
            let length = rest.u32()? as usize;
            let bytes = rest.take(length)?;
            // Numbers of other kinds are settings, which the sizes of the tensors say too.
            let half = match kind {
                0 => false,
                4 => true,
                _ => continue,
            };
            let values = shape
                .iter()
                .try_fold(1_usize, |product, length| product.checked_mul(*length));
            if values.and_then(|values| values.checked_mul(if half { 2 } else { 4 }))
                != Some(length)
            {
                return Err(bad("a tensor's size is not what its shape says"));
            }
            tensors.insert(name, Tensor { shape, half, bytes });
        }
        let aliases = rest.u32()?;
        if aliases > MOST {
            return Err(bad("it has too many names"));
        }
        for _ in 0..aliases {
            let (alias, name) = (rest.text()?, rest.text()?);
            if let Some(tensor) = tensors.get(name).cloned() {
                tensors.insert(alias, tensor);
            }
        }
        Ok(Self { tensors })
    }

    pub(super) fn get(&self, name: &str) -> Result<&Tensor<'a>, ConvertError> {
        self.tensors
            .get(name)
            .ok_or_else(|| ConvertError::OtherModel {
                name: name.to_owned(),
                problem: "is missing",
            })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

impl Tensor<'_> {
    /// All values in order.
    pub(super) fn values(&self) -> Vec<f32> {
        if self.half {
            self.bytes
                .chunks_exact(2)
                .map(|b| f32_of_half(u16::from_le_bytes([b[0], b[1]])))
                .collect()
        } else {
            self.bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect()
        }
    }
}

/// The value of a 16-bit float.
pub(super) fn f32_of_half(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(half >> 10 & 0x1f);
    let fraction = f32::from(half & 0x3ff);
    match exponent {
        0 => sign * fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

/// The nearest 16-bit float; of two as near, the even one.
pub(super) fn half_of_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let exponent = (bits >> 23 & 0xff) as i32 - 127;
    let fraction = bits & 0x7f_ffff;
    let rounded = |number: u32, cut: u32| {
        let kept = number >> cut;
        let rest = number & ((1 << cut) - 1);
        let half = 1 << (cut - 1);
        kept + u32::from(rest > half || rest == half && kept & 1 == 1)
    };
    sign | match exponent {
        128 if fraction != 0 => 0x7e00,
        16.. => 0x7c00,
        // A fraction that is rounded up to the next power of two carries into the exponent, as it should.
        -14.. => ((((exponent + 15) as u32) << 10) + rounded(fraction, 13)) as u16,
        -25.. => rounded(fraction | 0x80_0000, (-exponent - 1) as u32) as u16,
        _ => 0,
    }
}

fn bad(why: &'static str) -> ConvertError {
    ConvertError::NotCTranslate(why)
}

/// What is left to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ConvertError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| bad("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, ConvertError> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, ConvertError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(
            bytes.try_into().expect("four bytes were taken"),
        ))
    }

    /// Its length with the zero at its end, then the text.
    fn text(&mut self) -> Result<&'a str, ConvertError> {
        let length = self.take(2)?;
        let length = u16::from_le_bytes(length.try_into().expect("two bytes were taken"));
        let bytes = self.take(usize::from(length))?;
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        std::str::from_utf8(bytes).map_err(|_| bad("a name is no text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_there_and_back() {
        for half in 0..=u16::MAX {
            let value = f32_of_half(half);
            if value.is_nan() {
                assert!(f32_of_half(half_of_f32(value)).is_nan());
            } else {
                assert_eq!(half_of_f32(value), half, "{half:#06x} is {value}");
            }
        }
    }

    #[test]
    fn halves_are_rounded_to_the_nearest() {
        let check = |value: f32, expected: u16| {
            assert_eq!(half_of_f32(value), expected, "{value}");
        };
        // 1 + 2^-11 lies between 1 and the next: the even one.
        check(1.000_488_3, 0x3c00);
        check(1.000_488_4, 0x3c01);
        check(1.001_464_9, 0x3c02);
        check(65_519.0, 0x7bff);
        check(65_520.0, 0x7c00);
        check(1e-9, 0);
        check(-2.980_232_2e-8, 0x8000);
        check(-2.980_233e-8, 0x8001);
        check(6.103_515_6e-5, 0x0400);
    }
}
