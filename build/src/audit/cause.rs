//! Guesses why two builds of one derivation wrote different bytes.
//!
//! Each guess rests on something seen in both files that agrees with what the two
//! rounds are known to have been like. Nothing here is sure; the report says "looks
//! like".

use std::{
    io::{self, Read},
    ops::RangeInclusive,
    time::SystemTime,
};

use super::{
    compare::{Contents, find},
    conditions::{Conditions, Factor},
};

/// What a difference seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The time of the build.
    Time,
    /// The order in which folders list, or in which parallel work ended.
    Order,
    /// How many processors there were.
    Processors,
    /// The user's number.
    User,
    /// The path at which an output lay while it was built, where it cannot be
    /// rewritten: compressed or encoded.
    ScratchPath,
    /// How many names a file of the inputs has.
    LinkCount,
    /// The number of a process.
    ProcessId,
    /// Random bytes, or what is derived from them.
    Random,
}

/// A round's clock may be read a little before it is noted and after.
const CLOCK_SLACK: u64 = 2;
/// The kernel's highest limit of process numbers.
const MAX_PROCESS_ID: u64 = 4_194_304;
/// As many bytes as a random identifier has at least.
const MIN_RANDOM_LENGTH: usize = 8;
/// How far around a difference a written time may begin or end.
const TIME_CONTEXT: usize = 24;
/// As much of a compressed file as is looked into.
const MAX_UNPACKED: u64 = 64 << 20;
/// As many differences of one file as are looked at.
const MAX_SPOTS: usize = 64;

/// The causes that the two files' bytes speak for, the likeliest first.
pub(crate) fn guess(contents: &Contents<'_>, left: &Conditions, right: &Conditions) -> Vec<Cause> {
    let Contents { left: left_bytes, right: right_bytes } = *contents;
    let unpacked = (unpack(left_bytes), unpack(right_bytes));
    if let (Some(left_inner), Some(right_inner)) = &unpacked {
        if left.scratch_hashes.iter().any(|hash| find(left_inner, hash.as_bytes()).is_some())
            && right.scratch_hashes.iter().any(|hash| find(right_inner, hash.as_bytes()).is_some())
        {
            return vec![Cause::ScratchPath];
        }
        if left_inner != right_inner {
            return guess(&Contents { left: left_inner, right: right_inner }, left, right);
        }
    }
    if is_permuted(left_bytes, right_bytes) {
        return vec![Cause::Order];
    }
    let mut causes = Vec::new();
    for spot in spots(left_bytes, right_bytes) {
        let sides = (Side::new(left_bytes, &spot, left), Side::new(right_bytes, &spot, right));
        if let Some(cause) = guess_spot(&sides.0, &sides.1)
            && !causes.contains(&cause)
        {
            causes.push(cause);
        }
    }
    causes
}

fn guess_spot(left: &Side<'_>, right: &Side<'_>) -> Option<Cause> {
    let both = |test: &dyn Fn(&Side<'_>) -> bool| test(left) && test(right);
    let differ = |of: fn(&Conditions) -> u64| of(left.round) != of(right.round);
    if both(&|side| side.holds_time()) {
        Some(Cause::Time)
    } else if differ(|round| round.processors as u64)
        && both(&|side| side.number == Some(side.round.processors as u64))
    {
        Some(Cause::Processors)
    } else if differ(|round| u64::from(round.user))
        && both(&|side| side.number == Some(u64::from(side.round.user)))
    {
        Some(Cause::User)
    } else if right.round.varied.contains(&Factor::LinkCounts)
        && left.number.zip(right.number).is_some_and(|(left, right)| other_count(left, right))
    {
        Some(Cause::LinkCount)
    } else if both(&|side| side.number.is_some_and(|n| (1..=MAX_PROCESS_ID).contains(&n))) {
        Some(Cause::ProcessId)
    } else if both(&|side| side.length >= MIN_RANDOM_LENGTH) {
        Some(Cause::Random)
    } else {
        None
    }
}

/// Whether the copy of a file with so many names may have that many.
fn other_count(left: u64, right: u64) -> bool {
    right == left + 1 || right == 1
}

/// One side of a difference.
struct Side<'a> {
    bytes: &'a [u8],
    spot: RangeInclusive<usize>,
    round: &'a Conditions,
    /// The decimal number that the difference lies in.
    number: Option<u64>,
    /// How long the run of letters and digits, or of bytes, is that differs.
    length: usize,
}

impl<'a> Side<'a> {
    fn new(bytes: &'a [u8], spot: &RangeInclusive<usize>, round: &'a Conditions) -> Self {
        let digits = run_around(bytes, *spot.start(), u8::is_ascii_digit);
        let word = run_around(bytes, *spot.start(), u8::is_ascii_alphanumeric);
        Self {
            bytes,
            spot: spot.clone(),
            round,
            // Digits within a word, such as an identifier's, are no number.
            number: Some(digits)
                .filter(|digits| digits.len() == word.len())
                .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()),
            length: word.len().max(spot.end() - spot.start() + 1),
        }
    }

    /// Whether the difference is the round's time, as a number or in words.
    fn holds_time(&self) -> bool {
        let (first, last) = (seconds(self.round.started), seconds(self.round.ended));
        let seconds = first.saturating_sub(CLOCK_SLACK)..=last + CLOCK_SLACK;
        let scales = [1, 1_000, 1_000_000, 1_000_000_000];
        let is_number =
            |number: u64| scales.iter().any(|scale| seconds.contains(&(number / scale)));
        self.number.is_some_and(is_number)
            || self.holds_binary_time(&seconds)
            || self.holds_written_time(&seconds)
    }

    /// Four or eight bytes, in either order, that cover the difference.
    fn holds_binary_time(&self, seconds: &RangeInclusive<u64>) -> bool {
        let start = *self.spot.start();
        (start.saturating_sub(3)..=start).any(|at| {
            let Some(Ok(word)) = self.bytes.get(at..at + 4).map(<[u8; 4]>::try_from) else {
                return false;
            };
            [u32::from_le_bytes(word), u32::from_be_bytes(word)]
                .iter()
                .any(|&number| seconds.contains(&u64::from(number)))
        })
    }

    /// `HH:MM:SS`, or without colons, near the difference.
    fn holds_written_time(&self, seconds: &RangeInclusive<u64>) -> bool {
        let start = self.spot.start().saturating_sub(TIME_CONTEXT);
        let end = (self.spot.end() + TIME_CONTEXT).min(self.bytes.len());
        let Some(near) = self.bytes.get(start..end) else { return false };
        seconds.clone().any(|second| {
            let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
            [
                format!("{hour:02}:{minute:02}:{second:02}"),
                format!("{hour:02}{minute:02}{second:02}"),
            ]
            .iter()
            .any(|text| find(near, text.as_bytes()).is_some())
        })
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The longest run of bytes of one kind that contains the place or ends at it.
fn run_around(bytes: &[u8], at: usize, kind: fn(&u8) -> bool) -> &[u8] {
    let at = at.min(bytes.len());
    let before = bytes[..at].iter().rev().take_while(|byte| kind(byte)).count();
    let after = bytes[at..].iter().take_while(|byte| kind(byte)).count();
    &bytes[at - before..at + after]
}

/// Where the bytes differ: runs, those with less than a word between them joined.
fn spots(left: &[u8], right: &[u8]) -> Vec<RangeInclusive<usize>> {
    let mut spots: Vec<RangeInclusive<usize>> = Vec::new();
    let longest = left.len().max(right.len());
    for at in (0..longest).filter(|&at| left.get(at) != right.get(at)) {
        let count = spots.len();
        match spots.last_mut() {
            Some(last) if at - last.end() <= 4 => *last = *last.start()..=at,
            _ if count == MAX_SPOTS => break,
            _ => spots.push(at..=at),
        }
    }
    spots
}

/// Whether both hold the same lines, or the same words, in another order.
fn is_permuted(left: &[u8], right: &[u8]) -> bool {
    let by = |separator: fn(&u8) -> bool| {
        let sorted = |bytes| {
            let mut parts: Vec<&[u8]> = <[u8]>::split(bytes, separator).collect();
            parts.sort_unstable();
            parts
        };
        left.len() == right.len() && sorted(left) == sorted(right)
    };
    by(|byte| *byte == b'\n') || by(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

/// What a compressed file holds, as far as it can be read.
fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let reader: Box<dyn Read + '_> = match bytes {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Box::new(flate2::read::ZlibDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::new(bytes).ok()?),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Box::new(liblzma::read::XzDecoder::new(bytes)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::read::MultiBzDecoder::new(bytes)),
        _ => return None,
    };
    let mut inner = Vec::new();
    let read: io::Result<usize> = reader.take(MAX_UNPACKED).read_to_end(&mut inner);
    read.ok().map(|_| inner)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, time::Duration};

    use super::*;

    fn round(second: u64, processors: usize, user: u32, scratch: &str) -> Conditions {
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        Conditions {
            started,
            ended: started + Duration::from_secs(1),
            processors,
            user,
            scratch_hashes: vec![scratch.to_owned()],
            ..Conditions::default()
        }
    }

    fn check(left: impl AsRef<[u8]>, right: impl AsRef<[u8]>, expected: &[Cause]) {
        let contents = Contents { left: left.as_ref(), right: right.as_ref() };
        let first = round(1_700_000_000, 2, 1000, "aaaa");
        let second = round(1_700_000_005, 1, 2000, "bbbb");
        assert_eq!(guess(&contents, &first, &second), expected);
    }

    #[test]
    fn times_are_recognised_as_numbers_bytes_and_words() {
        check("at 1700000000\n", "at 1700000005\n", &[Cause::Time]);
        check("at 1700000000123\n", "at 1700000005777\n", &[Cause::Time]);
        check(1_700_000_000u32.to_le_bytes(), 1_700_000_005u32.to_le_bytes(), &[Cause::Time]);
        check("Tue Nov 14 22:13:20 UTC", "Tue Nov 14 22:13:25 UTC", &[Cause::Time]);
    }

    #[test]
    fn numbers_that_agree_with_what_varied_are_named() {
        check("by 2 processors", "by 1 processors", &[Cause::Processors]);
        check("uid=1000", "uid=2000", &[Cause::User]);
        check("process 1234\n", "process 1301\n", &[Cause::ProcessId]);
    }

    #[test]
    fn another_order_of_lines_or_words_is_named() {
        check("a\nb\nc\n", "c\na\nb\n", &[Cause::Order]);
        check("a b\nc", "c b\na", &[Cause::Order]);
    }

    #[test]
    fn random_bytes_are_told_from_unknown_small_changes() {
        check("id 9f3ac01d77b2e5d4", "id 03ffae41c9d07b6a", &[Cause::Random]);
        check("colour", "colons", &[]);
    }

    #[test]
    fn a_compressed_scratch_hash_is_found() {
        let gzip = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        check(gzip("/hb/store/aaaa-x"), gzip("/hb/store/bbbb-x"), &[Cause::ScratchPath]);
        check(gzip("b\na\n"), gzip("a\nb\n"), &[Cause::Order]);
    }
}
