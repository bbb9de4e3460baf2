//! Hash parts left out of a stream, and put back into it.
//!
//! A new version of an object has another hash part, and so has whatever refers to it. With
//! zeros in their places, what is otherwise the same stays the same bytes, and caches keep
//! it once.

use std::io::{self, Read, Write};

use crate::{
    rewrite::ZEROS,
    scan::{HashPart, LENGTH, Scanner},
};

/// The most holes of one stream; hash parts after these stay as they are.
pub(super) const MAX_HOLES: usize = 1 << 20;

/// Where in a stream a hash part was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Of its first byte.
    pub offset: u64,
    /// Whose: 0 is the object itself, and from 1 on its references in their order.
    pub number: u32,
}

/// Passes a stream on with zeros in the place of hash parts.
pub(super) struct Hollow<'a, W> {
    output: W,
    scanner: &'a Scanner,
    /// What has come and may hold the beginning of a hash part.
    pending: Vec<u8>,
    /// The offset of what is pending.
    offset: u64,
    holes: Vec<Hole>,
}

impl<'a, W: Write> Hollow<'a, W> {
    pub(super) fn new(output: W, scanner: &'a Scanner) -> Self {
        Self { output, scanner, pending: Vec::new(), offset: 0, holes: Vec::new() }
    }

    /// The rest, and where the holes are.
    pub(super) fn finish(mut self) -> io::Result<(W, Vec<Hole>)> {
        self.output.write_all(&self.pending)?;
        Ok((self.output, self.holes))
    }
}

impl<W: Write> Write for Hollow<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        let mut found = Vec::new();
        self.scanner.scan(&self.pending, |number, at| found.push((number, at)));
        found.truncate(MAX_HOLES - self.holes.len());
        // Nothing that was looked at begins a hash part, but for the last bytes.
        let mut done = (self.pending.len() + 1).saturating_sub(LENGTH);
        for (number, at) in found {
            self.pending[at..at + LENGTH].copy_from_slice(&ZEROS);
            self.holes.push(Hole { offset: self.offset + at as u64, number });
            done = done.max(at + LENGTH);
        }
        self.output.write_all(&self.pending[..done])?;
        self.pending.drain(..done);
        self.offset += done as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Passes a stream on with hash parts in its holes.
pub(super) struct Filled<'a, R> {
    input: R,
    parts: &'a [HashPart],
    /// Those that are not behind yet, in their order and apart from each other.
    holes: &'a [Hole],
    offset: u64,
}

impl<'a, R> Filled<'a, R> {
    /// `None` unless the holes are in order, apart, and of parts that there are.
    pub(super) fn new(input: R, parts: &'a [HashPart], holes: &'a [Hole]) -> Option<Self> {
        let end = |hole: &Hole| hole.offset.checked_add(LENGTH as u64);
        let apart = holes.windows(2).all(|two| end(&two[0]).is_some_and(|e| e <= two[1].offset));
        let fine = |hole: &Hole| (hole.number as usize) < parts.len() && end(hole).is_some();
        (apart && holes.iter().all(fine)).then_some(Self { input, parts, holes, offset: 0 })
    }
}

impl<R: Read> Read for Filled<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        let end = self.offset + length as u64;
        while let Some(hole) = self.holes.first().filter(|hole| hole.offset < end) {
            let part = &self.parts[hole.number as usize];
            let hole_end = hole.offset + LENGTH as u64;
            let (from, to) = (hole.offset.max(self.offset), hole_end.min(end));
            let within = |at: u64, start: u64| (at - start) as usize;
            buffer[within(from, self.offset)..within(to, self.offset)]
                .copy_from_slice(&part[within(from, hole.offset)..within(to, hole.offset)]);
            if hole_end > end {
                break;
            }
            self.holes = &self.holes[1..];
        }
        self.offset = end;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use hb_model::StorePath;

    use super::*;

    const A: &[u8; LENGTH] = b"0123456789abcdfghijklmnpqrsvwxyz";
    const B: &[u8; LENGTH] = b"00000000000000000000000000000001";

    fn hollowed(text: &[u8], piece: usize) -> (Vec<u8>, Vec<Hole>) {
        let path = |part: &[u8]| {
            StorePath::from_base_name(&format!("{}-x", str::from_utf8(part).unwrap())).unwrap()
        };
        let scanner = Scanner::new([&path(A), &path(B)]);
        let mut hollow = Hollow::new(Vec::new(), &scanner);
        text.chunks(piece).for_each(|piece| hollow.write_all(piece).unwrap());
        hollow.finish().unwrap()
    }

    #[test]
    fn what_is_left_out_is_put_back_wherever_the_pieces_are_cut() {
        // Zeros before a part that begins with zeros are no part of it.
        let text = [&b"/"[..], A, A, b"1--", A, B, b"e", &A[..31], b"!", B].concat();
        let once = hollowed(&text, text.len());
        assert_eq!(once.1.len(), 5);
        for length in 1..=text.len() {
            let (hollow, holes) = hollowed(&text, length);
            assert_eq!((&hollow, &holes), (&once.0, &once.1), "pieces of {length}");
            assert!(!hollow.windows(LENGTH).any(|window| window == A));
            let parts = [*A, *B];
            let mut filled = Filled::new(&hollow[..], &parts, &holes).unwrap();
            let mut back = Vec::new();
            let mut buffer = vec![0; length];
            while let length @ 1.. = filled.read(&mut buffer).unwrap() {
                back.extend_from_slice(&buffer[..length]);
            }
            assert_eq!(back, text, "pieces of {length}");
        }
    }

    #[test]
    fn holes_that_no_stream_has_are_refused() {
        let hole = |offset, number| Hole { offset, number };
        let refused = |holes: &[Hole]| Filled::new(&b""[..], &[*A], holes).is_none();
        assert!(!refused(&[hole(0, 0), hole(32, 0)]));
        assert!(refused(&[hole(0, 1)]), "there is no such part");
        assert!(refused(&[hole(0, 0), hole(31, 0)]), "they overlap");
        assert!(refused(&[hole(9, 0), hole(0, 0)]), "they are not in order");
        assert!(refused(&[hole(u64::MAX, 0)]), "it ends nowhere");
    }
}
