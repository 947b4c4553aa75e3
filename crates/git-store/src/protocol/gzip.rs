//! Compressed request bodies, inflated as they arrive.

use std::io::{self, Write};

use bytes::Bytes;
use cloud::BlobStream;
use flate2::write::GzDecoder;
use futures::StreamExt;

/// Bytes inflated at a time: one step makes at most about a thousand times as many.
const STEP: usize = 4096;

/// What a body may inflate to (bytes): clients compress what they ask for, never a pack.
const INFLATED_MAX: u64 = 32 << 20;

struct State {
    left: u64,
    body: BlobStream,
    decoder: GzDecoder<Vec<u8>>,
    pending: Bytes,
    ended: bool,
}

/// Inflates one gzip member; what follows it is an error.
pub(crate) fn gunzip(body: BlobStream) -> BlobStream {
    let state =
        State { left: INFLATED_MAX, body, decoder: GzDecoder::new(Vec::new()), pending: Bytes::new(), ended: false };
    futures::stream::try_unfold(state, |mut state| async move {
        while !state.ended {
            if state.pending.is_empty() {
                match state.body.next().await.transpose()? {
                    Some(chunk) => state.pending = chunk,
                    None => {
                        state.ended = true;
                        state.decoder.try_finish()?;
                    }
                }
            } else {
                let step = state.pending.split_to(state.pending.len().min(STEP));
                let taken = state.decoder.write(&step)?;
                if taken == 0 {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the end of the gzip body"));
                }
                // What the decoder did not take comes first again.
                if taken < step.len() {
                    state.pending = [&step[taken..], &state.pending].concat().into();
                }
            }
            let made = std::mem::take(state.decoder.get_mut());
            let too_large = || io::Error::new(io::ErrorKind::InvalidData, "the gzip body inflates to too much");
            state.left = state.left.checked_sub(made.len() as u64).ok_or_else(too_large)?;
            if !made.is_empty() {
                return Ok(Some((Bytes::from(made), state)));
            }
        }
        Ok(None)
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    async fn inflate(chunks: Vec<Vec<u8>>) -> io::Result<Vec<u8>> {
        let stream = futures::stream::iter(chunks.into_iter().map(|c| Ok(Bytes::from(c)))).boxed();
        let parts: Vec<_> = gunzip(stream).collect().await;
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(&part?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_in_odd_chunks_is_inflated() {
        let plain: Vec<u8> = (0..100_000u32).flat_map(|n| n.to_le_bytes()).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        let chunks: Vec<_> = packed.chunks(777).map(<[u8]>::to_vec).collect();
        assert_eq!(inflate(chunks).await.unwrap(), plain);
        assert!(inflate(vec![packed[..packed.len() / 2].to_vec()]).await.is_err());
        assert!(inflate(vec![b"not gzip".to_vec()]).await.is_err());
    }
}
