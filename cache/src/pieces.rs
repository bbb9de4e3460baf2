//! Cutting a stream where its content says so, so that a change moves few borders.
//!
//! FastCDC, over uncompressed bytes. Where it cuts is no part of the format: readers take
//! pieces of any length that a chunk may have; but only what was cut alike is found again.

use std::io::{self, Write};

use fastcdc::v2020::FastCDC;

/// Smaller pieces cost more to speak of than to bring.
const SMALLEST: usize = 16 << 10;

/// About so many bytes surround a change and come with it.
const AVERAGE: usize = 64 << 10;

/// The longest piece that comes of it.
pub(crate) const LARGEST: usize = 256 << 10;

/// Cuts what is written to it, and hands each piece on.
pub(crate) struct Cutter<F> {
    hand_on: F,
    pending: Vec<u8>,
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Cutter<F> {
    pub(crate) fn new(hand_on: F) -> Self {
        Self { hand_on, pending: Vec::with_capacity(2 * LARGEST) }
    }

    /// Hands the last pieces on.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.cut(0)
    }

    /// Hands pieces on as long as more than `leave` bytes are there. The end of a piece
    /// depends on its first bytes only, however they came.
    fn cut(&mut self, leave: usize) -> io::Result<()> {
        let mut start = 0;
        while self.pending.len() - start > leave {
            let rest = &self.pending[start..];
            let (_, length) = FastCDC::new(rest, SMALLEST, AVERAGE, LARGEST).cut(0, rest.len());
            (self.hand_on)(&rest[..length])?;
            start += length;
        }
        self.pending.drain(..start);
        Ok(())
    }
}

impl<F: FnMut(&[u8]) -> io::Result<()>> Write for Cutter<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(LARGEST);
        self.pending.extend_from_slice(&bytes[..length]);
        self.cut(LARGEST)?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random;

    fn pieces(bytes: &[u8], written: usize) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let mut cutter = Cutter::new(|piece: &[u8]| {
            pieces.push(piece.to_vec());
            Ok(())
        });
        bytes.chunks(written).for_each(|piece| cutter.write_all(piece).unwrap());
        cutter.finish().unwrap();
        pieces
    }

    #[test]
    fn pieces_join_to_the_whole_and_do_not_depend_on_how_it_came() {
        let bytes = random(3_000_000, 1);
        let cut = pieces(&bytes, bytes.len());
        assert_eq!(cut.concat(), bytes);
        assert!(cut.len() > 20 && cut.iter().all(|piece| piece.len() <= LARGEST));
        for written in [1009, 70_000, 600_000] {
            assert_eq!(pieces(&bytes, written), cut);
        }
        assert!(pieces(b"", 1).is_empty());
    }

    #[test]
    fn an_insertion_changes_the_pieces_around_it_only() {
        let bytes = random(3_000_000, 1);
        let mut changed = bytes.clone();
        changed.splice(1_000_000..1_000_000, random(1000, 2));
        let before = pieces(&bytes, 1 << 20);
        let new = pieces(&changed, 1 << 20).into_iter().filter(|piece| !before.contains(piece));
        assert!(new.count() <= 4);
    }
}
