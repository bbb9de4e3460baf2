//! Compression: every entry of a cache is one zstd frame.

use std::io::Read as _;

use crate::fault::Fault;

/// Quick, and near what higher levels give on programs.
const LEVEL: i32 = 3;

/// How much longer than what it holds a frame can be: a header, and 3 bytes for each block of
/// at most 128 KiB.
const OVERHEAD: usize = 4096;

/// The most bytes that a frame of so many bytes has.
pub(crate) fn limit(length: usize) -> usize {
    length + length / 1024 + OVERHEAD
}

/// For what is read again soon.
const QUICK_LEVEL: i32 = -5;

/// Bytes as a frame.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    compress_at(LEVEL, bytes)
}

/// Bytes as a larger frame, sooner.
pub(crate) fn compress_quickly(bytes: &[u8]) -> Vec<u8> {
    compress_at(QUICK_LEVEL, bytes)
}

fn compress_at(level: i32, bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, level).unwrap_or_else(|error| {
        // It only fails without memory, as any allocation may.
        panic!("zstd cannot compress {} bytes: {error}", bytes.len())
    })
}

/// What a frame holds, if that is at most `limit` bytes.
pub(crate) fn decompress(frame: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let mut decoder = zstd::Decoder::with_buffer(frame).map_err(|_| Fault::NoFrame)?.single_frame();
    let length = (&mut decoder).take(limit as u64 + 1).read_to_end(&mut bytes);
    match length.map_err(|_| Fault::NoFrame)? {
        length if length > limit => Err(Fault::TooLarge { limit }),
        _ if !decoder.finish().is_empty() => Err(Fault::NoFrame),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random;

    #[test]
    fn frames_are_read_up_to_their_limit_and_to_their_end() {
        let bytes = vec![7; 1 << 20];
        let frame = compress(&bytes);
        assert_eq!(decompress(&frame, bytes.len()).unwrap(), bytes);
        assert!(matches!(decompress(&frame, bytes.len() - 1), Err(Fault::TooLarge { .. })));
        assert!(matches!(decompress(&frame[..9], 1 << 20), Err(Fault::NoFrame)));
        let followed = [&frame[..], b"more"].concat();
        assert!(matches!(decompress(&followed, 1 << 20), Err(Fault::NoFrame)));
        assert!(matches!(decompress(b"none", 1 << 20), Err(Fault::NoFrame)));
    }

    #[test]
    fn what_cannot_be_compressed_keeps_the_limit_of_frames() {
        for length in [0, 1, 1000, 1 << 20] {
            assert!(compress(&random(length, 1)).len() <= limit(length));
        }
    }
}
