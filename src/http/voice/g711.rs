//! G.711: one byte a sample, at 8 kHz (ITU-T G.711, tables 1a and 2a).

/// µ-law of a 16-bit sample.
pub fn to_ulaw(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    let exponent = 7 - (magnitude << 17).leading_zeros().min(7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

/// The 16-bit sample of a µ-law byte.
pub fn from_ulaw(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = (byte >> 4) & 0x07;
    let magnitude = ((i32::from(byte & 0x0f) << 3) + 0x84) << exponent;
    let value = magnitude - 0x84;
    (if byte & 0x80 == 0 { value } else { -value }) as i16
}

/// A-law of a 16-bit sample.
pub fn to_alaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let value = if sample < 0 {
        !i32::from(sample)
    } else {
        i32::from(sample)
    } >> 3;
    let byte = if value < 32 {
        value >> 1
    } else {
        let exponent = 27 - (value as u32).leading_zeros() as i32;
        (exponent << 4) | ((value >> exponent) & 0x0f)
    };
    (sign | byte.min(0x7f) as u8) ^ 0x55
}

/// The 16-bit sample of an A-law byte.
pub fn from_alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let exponent = (byte >> 4) & 0x07;
    let mantissa = i32::from(byte & 0x0f);
    let value = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    (if byte & 0x80 == 0 { -value } else { value }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were_and_samples_nearly() {
        for byte in 0..=u8::MAX {
            assert_eq!(to_alaw(from_alaw(byte)), byte);
            // Both zeros are one sample.
            let back = to_ulaw(from_ulaw(byte));
            assert!(
                back == byte || (byte == 0x7f && back == 0xff),
                "{byte:x} {back:x}"
            );
        }
        for sample in (i16::MIN..=i16::MAX).step_by(97) {
            let near = |back: i16| {
                let off = (i32::from(back) - i32::from(sample)).abs();
                assert!(
                    off <= 16 + i32::from(sample).abs() / 16,
                    "{sample} came back as {back}"
                );
            };
            near(from_ulaw(to_ulaw(sample)));
            near(from_alaw(to_alaw(sample)));
        }
        assert_eq!((to_ulaw(0), to_alaw(0)), (0xff, 0xd5));
    }
}
