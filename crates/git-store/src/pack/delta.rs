//! Deltas: a base's size, a result's size, and instructions to copy or insert (gitformat-pack).

use crate::{Error, Result};

fn bad() -> Error {
    Error::Unpack("a delta is malformed".into())
}

fn size(delta: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    let mut shift = 0;
    loop {
        let (byte, rest) = delta.split_first().ok_or_else(bad)?;
        *delta = rest;
        let part = u64::from(byte & 0x7f);
        if shift > 56 {
            return Err(bad());
        }
        value |= part << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
}

/// The sizes of the base and of the result.
pub(super) fn sizes(mut delta: &[u8]) -> Result<(u64, u64)> {
    Ok((size(&mut delta)?, size(&mut delta)?))
}

/// Applies a delta whose result is at most `limit` bytes.
pub(super) fn apply(base: &[u8], mut delta: &[u8], limit: u64) -> Result<Vec<u8>> {
    let base_size = size(&mut delta)?;
    let result_size = size(&mut delta)?;
    if base_size != base.len() as u64 {
        return Err(bad());
    }
    if result_size > limit {
        return Err(Error::TooLarge(format!("an object is {result_size} bytes, the limit is {limit} bytes")));
    }
    let result_size = usize::try_from(result_size).map_err(|_| bad())?;
    let mut out = Vec::with_capacity(result_size);
    while let Some((&op, rest)) = delta.split_first() {
        delta = rest;
        let piece = match op {
            0 => return Err(bad()),
            1..0x80 => {
                let (piece, rest) = delta.split_at_checked(usize::from(op)).ok_or_else(bad)?;
                delta = rest;
                piece
            }
            _ => {
                let mut take = |bits: std::ops::Range<u8>| -> Result<usize> {
                    let mut value = 0;
                    for (place, bit) in bits.enumerate() {
                        if op & (1 << bit) != 0 {
                            let (byte, rest) = delta.split_first().ok_or_else(bad)?;
                            delta = rest;
                            value |= usize::from(*byte) << (8 * place);
                        }
                    }
                    Ok(value)
                };
                let start = take(0..4)?;
                let length = match take(4..7)? {
                    0 => 0x10000,
                    n => n,
                };
                base.get(start..start + length).ok_or_else(bad)?
            }
        };
        if out.len() + piece.len() > result_size {
            return Err(bad());
        }
        out.extend_from_slice(piece);
    }
    if out.len() == result_size { Ok(out) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_inserts_make_the_result() {
        let delta = [5, 7, 0x91, 1, 3, 2, b'x', b'y', 0x90, 2];
        assert_eq!(apply(b"abcde", &delta, 100).unwrap(), b"bcdxyab");
        assert!(apply(b"abcd", &delta, 100).is_err(), "another base size");
        assert!(apply(b"abcde", &delta, 6).is_err(), "past the limit");
        assert!(apply(b"abcde", &delta[..9], 100).is_err(), "cut");
        assert!(apply(b"abcde", &[5, 2, 0x91, 4, 2], 100).is_err(), "past the base");
        assert!(apply(b"abcde", &[5, 1, 0], 100).is_err(), "the reserved instruction");
    }
}
