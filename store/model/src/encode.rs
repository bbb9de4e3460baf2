//! The canonical framing: netstrings, `<length>:<bytes>,`, nested for lists.
//!
//! One value has one encoding. The decoder refuses what the encoder would not have
//! written: leading zeros, a missing comma, bytes left over.

use std::str;

/// An encoded text that is not what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a netstring.
    #[error("malformed field at byte {offset}")]
    Malformed {
        /// Where, within the enclosing field.
        offset: usize,
    },
    /// Bytes after the last field.
    #[error("{count} bytes left over after the last field")]
    LeftOver {
        /// How many.
        count: usize,
    },
    /// A field's text is not UTF-8.
    #[error("the field '{field}' is not UTF-8")]
    NotUtf8 {
        /// Which.
        field: &'static str,
    },
    /// A field's text has no meaning there.
    #[error("the field '{field}' holds '{text}', which has no meaning there")]
    Meaningless {
        /// Which.
        field: &'static str,
        /// What it holds.
        text: String,
    },
    /// Set or map entries are out of order or occur twice.
    #[error("the entries of '{field}' are not sorted")]
    Unsorted {
        /// Which.
        field: &'static str,
    },
}

/// Writes fields one after the other.
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    /// Bytes that hold most of what is encoded.
    const USUAL: usize = 1024;

    pub(crate) fn new(tag: &str) -> Self {
        let mut encoder = Self(Vec::with_capacity(Self::USUAL));
        encoder.field(tag);
        encoder
    }

    pub(crate) fn field(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.0.extend_from_slice(Decimal::of(bytes.len() as u64).text());
        self.0.push(b':');
        self.0.extend_from_slice(bytes);
        self.0.push(b',');
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.field(Decimal::of(number).text());
    }

    /// A field whose text is written piece by piece.
    pub(crate) fn pieces(&mut self, pieces: &[&[u8]]) {
        self.list(|text| pieces.iter().for_each(|piece| text.0.extend_from_slice(piece)));
    }

    /// What is written comes to lie here at once, and moves up for its length.
    pub(crate) fn list(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        write(self);
        let length = Decimal::of((self.0.len() - start) as u64);
        let head = length.text().len() + 1;
        let end = self.0.len();
        self.0.resize(end + head, b',');
        self.0.copy_within(start..end, start + head);
        self.0[start..start + head - 1].copy_from_slice(length.text());
        self.0[start + head - 1] = b':';
        self.0.push(b',');
    }

    pub(crate) fn option(&mut self, value: Option<&str>) {
        self.list(|inner| value.into_iter().for_each(|text| inner.field(text)));
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// BLAKE3 of everything written.
    pub(crate) fn digest(self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }
}

/// The decimal digits of a number.
struct Decimal {
    digits: [u8; Self::MOST],
    start: usize,
}

impl Decimal {
    /// Those of the largest number.
    const MOST: usize = 20;

    fn of(mut number: u64) -> Self {
        let mut decimal = Self { digits: [b'0'; Self::MOST], start: Self::MOST };
        loop {
            decimal.start -= 1;
            decimal.digits[decimal.start] += (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    fn text(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Reads fields one after the other.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let malformed = DecodeError::Malformed { offset: self.length - self.rest.len() };
        let split = || {
            let colon = self.rest.iter().position(|&b| b == b':')?;
            let digits = &self.rest[..colon];
            let canonical = digits == b"0"
                || (digits.first().is_some_and(|&d| d != b'0')
                    && digits.iter().all(u8::is_ascii_digit));
            let length: usize = str::from_utf8(digits).ok().filter(|_| canonical)?.parse().ok()?;
            let (field, rest) = self.rest[colon + 1..].split_at_checked(length)?;
            Some((field, rest.strip_prefix(b",")?))
        };
        let (field, rest) = split().ok_or(malformed)?;
        self.rest = rest;
        Ok(field)
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        str::from_utf8(self.bytes()?).map_err(|_| DecodeError::NotUtf8 { field })
    }

    /// A field parsed by its type's own rule, in the one form in which it is written.
    pub(crate) fn parsed<T: str::FromStr + ToString>(
        &mut self,
        field: &'static str,
    ) -> Result<T, DecodeError> {
        let text = self.text(field)?;
        let parsed = text.parse().ok().filter(|parsed: &T| parsed.to_string() == text);
        parsed.ok_or_else(|| DecodeError::Meaningless { field, text: text.to_owned() })
    }

    pub(crate) fn option(&mut self, field: &'static str) -> Result<Option<&'a str>, DecodeError> {
        let mut found = self.list(|inner| inner.text(field))?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(DecodeError::Meaningless { field, text: found.join(",") }),
        }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut inner = Decoder::new(self.bytes()?);
        let mut items = Vec::new();
        while !inner.rest.is_empty() {
            items.push(read(&mut inner)?);
        }
        Ok(items)
    }

    /// A list that must be strictly ascending, as sets and maps are written.
    pub(crate) fn sorted<T, K: Ord>(
        &mut self,
        field: &'static str,
        read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, DecodeError> {
        let items = self.list(read)?;
        let ascending = items.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]));
        if ascending { Ok(items) } else { Err(DecodeError::Unsorted { field }) }
    }

    pub(crate) fn end(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::LeftOver { count }),
        }
    }
}
