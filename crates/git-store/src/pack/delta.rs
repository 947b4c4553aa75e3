//! Deltas: a base's size, a result's size, and instructions to copy or insert (gitformat-pack).

use std::io::BufRead;

use super::content::Content;
use super::work::Work;
use crate::{Error, Result};

/// What an instruction costs, as bytes that are made; and one that copies from a file.
const INSTRUCTION_WORK: u64 = 16;
const SEEK_WORK: u64 = 256;

fn bad() -> Error {
    Error::Unpack("a delta is malformed".into())
}

fn byte(delta: &mut impl BufRead) -> Result<Option<u8>> {
    let mut byte = [0];
    match delta.read(&mut byte) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(byte[0])),
        Err(_) => Err(bad()),
    }
}

fn next(delta: &mut impl BufRead) -> Result<u8> {
    byte(delta)?.ok_or_else(bad)
}

fn size(delta: &mut impl BufRead) -> Result<u64> {
    let mut value = 0u64;
    let mut shift = 0;
    loop {
        let byte = next(delta)?;
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

/// Applies a delta whose result is at most `limit` bytes, and feeds the result to `sink`. `work` hears of what each
/// instruction costs besides the bytes it makes.
pub(super) fn apply(
    base: &Content,
    delta: &mut impl BufRead,
    limit: u64,
    work: &Work,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (base_size, result_size) = (size(delta)?, size(delta)?);
    if base_size != base.len() {
        return Err(bad());
    }
    if result_size > limit {
        return Err(Error::TooLarge(format!("an object is {result_size} bytes, the limit is {limit} bytes")));
    }
    let mut left = result_size;
    let of_copy = if base.bytes().is_some() { INSTRUCTION_WORK } else { SEEK_WORK };
    while let Some(op) = byte(delta)? {
        let length = match op {
            0 => return Err(bad()),
            1..0x80 => u64::from(op),
            _ => {
                let start = operand(delta, op, 0..4)?;
                let length = match operand(delta, op, 4..7)? {
                    0 => 0x10000,
                    n => n,
                };
                left = left.checked_sub(length).ok_or_else(bad)?;
                work.spend(of_copy)?;
                base.copy(start, length, sink)?.ok_or_else(bad)?;
                continue;
            }
        };
        left = left.checked_sub(length).ok_or_else(bad)?;
        work.spend(INSTRUCTION_WORK)?;
        let mut piece = [0; 0x7f];
        delta.read_exact(&mut piece[..length as usize]).map_err(|_| bad())?;
        sink(&piece[..length as usize])?;
    }
    if left == 0 { Ok(()) } else { Err(bad()) }
}

/// As `apply`, where all is in memory; the result is of the size that the delta declares.
pub(super) fn apply_in_memory(base: &[u8], mut delta: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (base_size, result_size) = (size(&mut delta)?, size(&mut delta)?);
    if base_size != base.len() as u64 {
        return Err(bad());
    }
    let end = out.len() as u64 + result_size;
    while let Some((op, rest)) = delta.split_first() {
        delta = rest;
        let piece = match *op {
            0 => return Err(bad()),
            length @ 1..0x80 => delta.split_off(..usize::from(length)).ok_or_else(bad)?,
            op => {
                let start = operand(&mut delta, op, 0..4)? as usize;
                let length = match operand(&mut delta, op, 4..7)? {
                    0 => 0x10000,
                    n => n as usize,
                };
                base.get(start..start.saturating_add(length)).ok_or_else(bad)?
            }
        };
        if out.len() as u64 + piece.len() as u64 > end {
            return Err(bad());
        }
        out.extend_from_slice(piece);
    }
    if out.len() as u64 == end { Ok(()) } else { Err(bad()) }
}

/// A number of which the bits of `op` say which bytes there are.
fn operand(delta: &mut impl BufRead, op: u8, bits: std::ops::Range<u8>) -> Result<u64> {
    let mut value = 0;
    for (place, bit) in bits.enumerate() {
        if op & (1 << bit) != 0 {
            value |= u64::from(next(delta)?) << (8 * place);
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{OWN_LIMITS, PACK_LIMITS, PackLimits};

    fn applied(base: &[u8], mut delta: &[u8], limit: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let whole = delta;
        let (base_now, work) = (Content::Memory(base.to_vec()), Work::new(OWN_LIMITS));
        let applied = apply(&base_now, &mut delta, limit, &work, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        let mut again = Vec::new();
        let at_once = apply_in_memory(base, whole, &mut again);
        if sizes(whole).is_ok_and(|(_, result)| result <= limit) {
            assert_eq!((applied.is_ok(), at_once.is_ok()), (applied.is_ok(), applied.is_ok()));
            assert!(at_once.is_err() || again == out);
        }
        applied.map(|()| out)
    }

    #[test]
    fn copies_and_inserts_make_the_result() {
        let delta = [5, 7, 0x91, 1, 3, 2, b'x', b'y', 0x90, 2];
        assert_eq!(applied(b"abcde", &delta, 100).unwrap(), b"bcdxyab");
        assert!(applied(b"abcd", &delta, 100).is_err(), "another base size");
        assert!(applied(b"abcde", &delta, 6).is_err(), "past the limit");
        assert!(applied(b"abcde", &delta[..9], 100).is_err(), "cut");
        assert!(applied(b"abcde", &[5, 2, 0x91, 4, 2], 100).is_err(), "past the base");
        assert!(applied(b"abcde", &[5, 1, 0], 100).is_err(), "the reserved instruction");
    }

    #[test]
    fn many_small_instructions_are_more_work_than_their_bytes() {
        let delta: Vec<u8> = [vec![1, 100], [0x90, 1].repeat(100)].concat();
        let of = |work_floor| {
            let work = Work::new(PackLimits { work_floor, ..PACK_LIMITS });
            apply(&Content::Memory(vec![0]), &mut delta.as_slice(), 100, &work, &mut |_| Ok(()))
        };
        assert!(of(100 * INSTRUCTION_WORK).is_ok());
        assert!(matches!(of(100 * INSTRUCTION_WORK - 1), Err(Error::TooLarge(_))));
    }
}
