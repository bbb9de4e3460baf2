//! Compiled code as bytes: small, and quick to read piece by piece.
//!
//! Numbers take seven bits a byte, the lowest first, and signed ones alternate around zero.
//! Nothing checks what is read: who takes bytes from elsewhere knows that they are what was
//! written.

use hb_lang::Span;

use super::Keeper;
use super::op::{Hint, Infix, Op, Source};
use super::quick::Quick;
use crate::symbol::Symbol;

/// Something that can be written and read.
pub(crate) trait Encode: Sized {
    fn put(self, out: &mut Vec<u8>);
    fn take(from: &mut Reader<'_>) -> Self;
}

/// Bytes that are being read.
pub(crate) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn take<T: Encode>(&mut self) -> T {
        T::take(self)
    }

    #[inline(always)]
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    /// A text, of which the length comes first.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let length = self.take::<u32>() as usize;
        self.at += length;
        &self.bytes[self.at - length..self.at]
    }
}

/// Write a text for [`Reader::text`].
pub(super) fn put_text(text: &[u8], out: &mut Vec<u8>) {
    (text.len() as u32).put(out);
    out.extend_from_slice(text);
}

impl Encode for u8 {
    fn put(self, out: &mut Vec<u8>) {
        out.push(self);
    }

    fn take(from: &mut Reader<'_>) -> Self {
        from.byte()
    }
}

impl Encode for bool {
    fn put(self, out: &mut Vec<u8>) {
        out.push(self.into());
    }

    fn take(from: &mut Reader<'_>) -> Self {
        from.byte() != 0
    }
}

impl Encode for Quick {
    fn put(self, out: &mut Vec<u8>) {
        out.push(self.number());
    }

    fn take(from: &mut Reader<'_>) -> Self {
        Self::numbered(from.byte())
    }
}

impl Encode for u64 {
    fn put(mut self, out: &mut Vec<u8>) {
        while self >= 0x80 {
            out.push(self as u8 | 0x80);
            self >>= 7;
        }
        out.push(self as u8);
    }

    fn take(from: &mut Reader<'_>) -> Self {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let byte = from.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }
}

impl Encode for i64 {
    fn put(self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Self {
        let number = from.take::<u64>();
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }
}

impl Encode for f64 {
    fn put(self, out: &mut Vec<u8>) {
        self.to_bits().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Self {
        Self::from_bits(from.take())
    }
}

/// What is written as another type.
macro_rules! encode_as {
    ($($type:ty: $value:ident as $wide:ty => $written:expr, $read:expr;)*) => {$(
        impl Encode for $type {
            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                let $value = self;
                <$wide>::put($written, out);
            }

            #[inline]
            fn take(from: &mut Reader<'_>) -> Self {
                let $value = from.take::<$wide>();
                $read
            }
        }
    )*};
}

encode_as! {
    u32: n as u64 => n.into(), n as u32;
    u16: n as u64 => n.into(), n as u16;
    i32: n as i64 => n.into(), n as i32;
    Symbol: n as u32 => n.0, Symbol(n);
    Option<Symbol>: n as u64 => n.map_or(0, |name| u64::from(name.0) + 1),
        n.checked_sub(1).map(|n| Symbol(n as u32));
    Infix: n as u8 => n as u8, INFIXES[n as usize];
}

const INFIXES: [Infix; 12] = [
    Infix::Add,
    Infix::Sub,
    Infix::Mul,
    Infix::Div,
    Infix::Less,
    Infix::LessEq,
    Infix::More,
    Infix::MoreEq,
    Infix::Equal,
    Infix::NotEqual,
    Infix::Concat,
    Infix::Update,
];

/// Nothing is known before it is run.
impl Encode for Hint {
    fn put(self, _: &mut Vec<u8>) {}

    fn take(_: &mut Reader<'_>) -> Self {
        Self::default()
    }
}

impl Encode for Span {
    fn put(self, out: &mut Vec<u8>) {
        self.start.put(out);
        (self.end - self.start).put(out);
    }

    fn take(from: &mut Reader<'_>) -> Self {
        let start: u32 = from.take();
        Self { start, end: start + from.take::<u32>() }
    }
}

/// The lowest bit says which, the rest is the number.
impl Encode for Source {
    fn put(self, out: &mut Vec<u8>) {
        let (number, is_upvalue) = self.parts();
        (u64::from(number) << 1 | u64::from(is_upvalue)).put(out);
    }

    fn take(from: &mut Reader<'_>) -> Self {
        let number: u64 = from.take();
        match number & 1 {
            0 => Self::Local((number >> 1) as u32),
            _ => Self::Upvalue((number >> 1) as u32),
        }
    }
}

impl Encode for Keeper {
    fn put(self, out: &mut Vec<u8>) {
        let (kind, span) = match self {
            Self::Caller => (0u8, None),
            Self::Definition(span) => (1, Some(span)),
            Self::Default(span) => (2, Some(span)),
        };
        kind.put(out);
        if let Some(span) = span {
            span.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Self {
        match from.take::<u8>() {
            0 => Self::Caller,
            1 => Self::Definition(from.take()),
            _ => Self::Default(from.take()),
        }
    }
}

/// Each instruction with its operands: its place in this list is its first byte.
macro_rules! encode_instructions {
    ($($name:ident { $($field:tt: $operand:ident),* })*) => {
        #[repr(u8)]
        enum First { $($name),* }

        impl Encode for Op {
            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name { $($field: $operand),* } => {
                        out.push(First::$name as u8);
                        $($operand.put(out);)*
                    })*
                    Self::Pair { .. }
                    | Self::ForceFirst { .. }
                    | Self::ForceBoth { .. }
                    | Self::ThunkPair(_)
                    | Self::ForceAndUpvalues(_)
                    | Self::SelectFrom { .. }
                    | Self::SelectFromOrNext { .. }
                    | Self::TrySelectFrom { .. }
                    | Self::WithFromOrSkip { .. }
                    | Self::HasNamed(_)
                    | Self::EqualConstant(_)
                    | Self::ReturnConstant(_) => unreachable!("made where code is linked"),
                }
            }

            #[inline]
            fn take(from: &mut Reader<'_>) -> Self {
                let first = from.byte();
                $(const $name: u8 = First::$name as u8;)*
                match first {
                    $($name => Self::$name { $($field: from.take()),* },)*
                    _ => unreachable!("no instruction begins so"),
                }
            }
        }
    };
}

#[expect(non_upper_case_globals, reason = "they are named as the instructions are")]
mod instructions {
    use super::*;

    encode_instructions! {
        Exit {} Load {} Return {} Resolve {} CallRest {} ReturnRest {} Retry {}
        Constant { 0: index } Int { 0: number } Bool { 0: truth }
        Local { 0: slot } Upvalue { 0: index } Upvalues { 0: count }
        ForceLocal { 0: slot } ForceUpvalue { 0: index }
        Force {} Slide { 0: count }
        Closure { 0: index } Thunk { 0: index }
        AllocateClosure { 0: index } AllocateThunk { 0: index } Fill { 0: slot }
        TryInfix { 0: infix } TryQuick { 0: quick } TrySelect { hint: hint, name: name }
        TrySelectDynamic {}
        Unset {}
        Call { 0: count } CallBuiltin { count: count, builtin: builtin }
        CallQuick { quick: quick, builtin: builtin } Mapped { 0: map }
        Match { 0: pattern } ConstantDefault { slot: slot, constant: constant }
        AllocateDefault { slot: slot, prototype: prototype }
        FillDefault { 0: slot }
        Check {} CheckArgument { 0: slot }
        Jump { 0: distance } JumpIfFalse { 0: distance } JumpIfTrue { 0: distance }
        CheckBool {} Not {} Negate {} Assert {}
        Add {} Sub {} Mul {} Div {} Less {} LessEq {} More {} MoreEq {} Equal {} NotEqual {}
        Concat {} Update {}
        Select { hint: hint, name: name } SelectOrNext { hint: hint, name: name }
        SelectDynamic {} SelectDynamicOrNext {}
        Has { hint: hint, name: name } HasDynamic {} WithOrSkip { hint: hint, name: name }
        Undefined { 0: name }
        List { 0: count } Attrs { 0: shape } AddAttr {} Override { 0: list }
        Interpolate { 0: count } InterpolatePath { 0: count }
        CurrentPosition {} HomeFolder {} FindInSearchPath { 0: constant }
    }
}
