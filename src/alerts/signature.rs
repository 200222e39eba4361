//! What proves to a receiver that a message is ours and fresh: HMAC-SHA256 (RFC 2104) over
//! `TIME.DELIVERY.BODY`, as `v1=HEX` in `X-Griot-Signature`, with the time in `X-Griot-Timestamp` (seconds since
//! 1970) and the delivery's number in `X-Griot-Delivery`.
//!
//! A receiver refuses what is older than [`WINDOW`], so that a message overheard cannot be sent again
//! later, and what it has seen already (by its delivery, which is signed as well), so that a repeated one
//! counts once.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Seconds that a message and its receiver's clock may be apart.
pub const WINDOW: u64 = 300;

/// The headers of a signed message.
pub const TIMESTAMP: &str = "x-griot-timestamp";
pub const SIGNATURE: &str = "x-griot-signature";
pub const DELIVERY: &str = "x-griot-delivery";

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the signature is not this secret's over this time, delivery and body")]
    Forged,
    #[error("the message is older, or newer, than {WINDOW} s")]
    Stale,
}

/// The signature of a body sent at `timestamp`. `delivery` has no dot in it.
#[must_use]
pub fn sign(secret: &str, timestamp: u64, delivery: &str, body: &[u8]) -> String {
    let head = format!("{timestamp}.{delivery}.");
    let message = [head.as_bytes(), body].concat();
    format!(
        "v1={}",
        hex::encode(hmac_sha256(secret.as_bytes(), &message))
    )
}

/// Checks a message as its receiver should, whose clock says `now`.
///
/// # Errors
/// As [`Refused`] says.
pub fn verify(
    secret: &str,
    timestamp: u64,
    delivery: &str,
    signature: &str,
    body: &[u8],
    now: u64,
) -> Result<(), Refused> {
    let ours = sign(secret, timestamp, delivery, body);
    // A dot would move the border between the number and the body.
    if delivery.contains('.') || !bool::from(ours.as_bytes().ct_eq(signature.as_bytes())) {
        return Err(Refused::Forged);
    }
    if now.abs_diff(timestamp) > WINDOW {
        return Err(Refused::Stale);
    }
    Ok(())
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| block.map(|key| key ^ byte);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha256_as_its_standard_says() {
        // RFC 4231, test cases 1, 2 and 6.
        let check = |key: &[u8], message: &[u8], expected: &str| {
            assert_eq!(hex::encode(hmac_sha256(key, message)), expected);
        };
        check(
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        );
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
    }

    #[test]
    fn what_is_changed_or_late_is_not_believed() {
        let signature = sign("secret", 1000, "d1", b"body");
        let check = |secret, timestamp, delivery, body: &[u8], now, expected| {
            let verdict = verify(secret, timestamp, delivery, &signature, body, now);
            assert_eq!(verdict, expected);
        };
        let forged = Err(Refused::Forged);
        check("secret", 1000, "d1", b"body", 1000 + WINDOW, Ok(()));
        check("secret", 1000, "d1", b"body", 1000 - WINDOW, Ok(()));
        let stale = Err(Refused::Stale);
        check("secret", 1000, "d1", b"body", 1001 + WINDOW, stale);
        check("other", 1000, "d1", b"body", 1000, forged);
        check("secret", 1001, "d1", b"body", 1000, forged);
        check("secret", 1000, "d1", b"bode", 1000, forged);
        // The same message with another number would count as one not seen before.
        check("secret", 1000, "d2", b"body", 1000, forged);
        assert_eq!(verify("secret", 1000, "d1", "", b"body", 1000), forged);
        let moved = sign("secret", 1000, "d1", b"bo.dy");
        let verdict = verify("secret", 1000, "d1.bo", &moved, b"dy", 1000);
        assert_eq!(verdict, forged);
    }
}
