//! Finding the hash parts of store paths in bytes of any kind.

use hb_model::StorePath;
use rustc_hash::FxHashMap;

/// The length of a hash part.
pub(crate) const LENGTH: usize = StorePath::HASH_LENGTH;

/// A hash part as it stands in texts.
pub(crate) type HashPart = [u8; LENGTH];

/// The hash part of a path.
pub(crate) fn hash_part(path: &StorePath) -> HashPart {
    let text = path.hash_part();
    std::array::from_fn(|index| text.as_bytes()[index])
}

/// Which bytes are digits of Nix's base 32.
const IS_DIGIT: [bool; 256] = {
    let digits = b"0123456789abcdfghijklmnpqrsvwxyz";
    let mut table = [false; 256];
    let mut index = 0;
    while index < digits.len() {
        table[digits[index] as usize] = true;
        index += 1;
    }
    table
};

/// Knows the hash parts to look for, each by a number.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    patterns: FxHashMap<HashPart, u32>,
}

impl Scanner {
    /// Look for these; where one occurs twice, its first number counts.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = &'a StorePath>) -> Self {
        let mut patterns = FxHashMap::default();
        for (number, path) in (0..).zip(paths) {
            patterns.entry(hash_part(path)).or_insert(number);
        }
        Self { patterns }
    }

    /// Report the number and the offset of each occurrence in `bytes`.
    ///
    /// Looks at the last byte of a window first: one that is no digit rules out all
    /// windows that hold it, so that most bytes are never looked at.
    pub(crate) fn scan(&self, bytes: &[u8], mut found: impl FnMut(u32, usize)) {
        if self.patterns.is_empty() {
            return;
        }
        let mut start = 0;
        // Up to here, from `start` on, the bytes are known to be digits.
        let mut known = 0;
        while let Some(window) = bytes.get(start..start + LENGTH) {
            let unknown = known.max(start) - start;
            let outcome = window[unknown..].iter().rposition(|&byte| !IS_DIGIT[usize::from(byte)]);
            if let Some(position) = outcome {
                start += unknown + position + 1;
                continue;
            }
            known = start + LENGTH;
            let part: &HashPart = window.first_chunk().unwrap_or(&[0; LENGTH]);
            if let Some(&number) = self.patterns.get(part) {
                found(number, start);
                start += LENGTH;
            } else {
                start += 1;
            }
        }
    }
}

/// Scans a file that comes in pieces.
pub(crate) struct Stream<'a> {
    scanner: &'a Scanner,
    /// The end of what has come, too short to hold a hash part by itself.
    tail: Vec<u8>,
    /// The offset of the tail's beginning.
    offset: u64,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(scanner: &'a Scanner) -> Self {
        Self { scanner, tail: Vec::with_capacity(3 * LENGTH), offset: 0 }
    }

    /// Take the next piece; report the number and the offset of each occurrence.
    pub(crate) fn take(&mut self, piece: &[u8], mut found: impl FnMut(u32, u64)) {
        // The tail and the head are each shorter than a hash part, so this finds exactly
        // what lies across the border.
        let border = self.offset + self.tail.len() as u64;
        let head = piece.len().min(LENGTH - 1);
        self.tail.extend_from_slice(&piece[..head]);
        let tail_offset = self.offset;
        self.scanner.scan(&self.tail, |number, at| found(number, tail_offset + at as u64));
        self.scanner.scan(piece, |number, at| found(number, border + at as u64));
        if piece.len() >= LENGTH {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - (LENGTH - 1)..]);
        } else {
            let surplus = self.tail.len().saturating_sub(LENGTH - 1);
            self.tail.drain(..surplus);
        }
        self.offset = border + piece.len() as u64 - self.tail.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &[u8; LENGTH] = b"0123456789abcdfghijklmnpqrsvwxyz";
    const B: &[u8; LENGTH] = b"zyxwvsrqpnmlkjihgfdcba9876543210";

    fn scanner() -> Scanner {
        let path = |part: &[u8]| {
            StorePath::from_base_name(&format!("{}-x", str::from_utf8(part).unwrap())).unwrap()
        };
        Scanner::new([&path(A), &path(B)])
    }

    fn in_pieces(bytes: &[u8], length: usize) -> Vec<(u32, u64)> {
        let scanner = scanner();
        let mut stream = Stream::new(&scanner);
        let mut hits = Vec::new();
        for piece in bytes.chunks(length) {
            stream.take(piece, |number, offset| hits.push((number, offset)));
        }
        hits.sort_unstable_by_key(|hit| hit.1);
        hits
    }

    #[test]
    fn occurrences_are_found_wherever_the_pieces_are_cut() {
        let text = [b"0a/".as_slice(), A, B, b"e", A, b"-z00000", &A[..31], b"!", B].concat();
        let expected = vec![(0, 3), (1, 35), (0, 68), (1, 139)];
        for length in 1..=text.len() {
            assert_eq!(in_pieces(&text, length), expected, "pieces of {length}");
        }
    }

    #[test]
    fn an_occurrence_within_a_longer_run_of_digits_is_found() {
        let text = [b"0".repeat(70).as_slice(), B, &b"1".repeat(70)].concat();
        assert_eq!(in_pieces(&text, text.len()), [(1, 70)]);
    }

    #[test]
    fn nothing_is_found_in_what_only_resembles() {
        let mut almost = *A;
        almost[31] = b'e';
        assert_eq!(in_pieces(&[&almost[..], &A[..31]].concat(), 7), []);
    }
}
