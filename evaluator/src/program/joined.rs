//! Two instructions in one.
//!
//! To go from one instruction to the next costs as much as what many of them do, for which one comes
//! is hard to guess. So what often follows each other is done by one instruction, which takes the
//! first one's place when code is linked. The second one stays where it is, and is skipped: places
//! in the code mean what they meant, a jump may lead there, and where the first one has to wait for
//! something, or fails, the second one runs by itself.

use super::op::{Capture, Op, Short, Source};

impl Op {
    /// The instruction that does the work of this and the next one.
    pub(crate) fn joined(self, next: Self) -> Option<Self> {
        let short = |source: Option<Source>| Short::of(source?);
        if let Some(second) = next.pushed() {
            let second = Capture::alone(second);
            return match self.pushed() {
                Some(first) => Some(Self::Pair { first: Short::of(first)?, second }),
                None => Some(Self::ForceFirst { first: short(self.forced())?, second }),
            };
        }
        if let Some(second) = next.forced() {
            let second = Capture::alone(second);
            return Some(Self::ForceBoth { first: short(self.forced())?, second });
        }
        Some(match (self, next) {
            (Self::Thunk(prototype), Self::Thunk(_)) => Self::ThunkPair(prototype),
            (Self::ForceUpvalue(0), Self::Upvalues(count)) => Self::ForceAndUpvalues(count),
            (first, Self::Select { hint, name }) => {
                Self::SelectFrom { variable: short(first.forced())?, hint, name }
            }
            (first, Self::SelectOrNext { hint, name }) => {
                Self::SelectFromOrNext { variable: short(first.forced())?, hint, name }
            }
            (first, Self::TrySelect { hint, name }) => {
                Self::TrySelectFrom { variable: short(first.pushed())?, hint, name }
            }
            (first, Self::WithOrSkip { hint, name }) => {
                Self::WithFromOrSkip { variable: short(first.forced())?, hint, name }
            }
            (first, Self::HasDynamic) => Self::HasNamed(Capture::alone(first.forced()?)),
            (Self::Constant(constant), Self::Equal) => Self::EqualConstant(constant),
            (Self::Constant(constant), Self::Return) => Self::ReturnConstant(constant),
            // They take the top and drop the rest anyway.
            (Self::Slide(_), end @ (Self::Return | Self::Resolve)) => end,
            _ => return None,
        })
    }

    /// The variable that this pushes as it is.
    fn pushed(self) -> Option<Source> {
        match self {
            Self::Local(slot) => Some(Source::Local(slot)),
            Self::Upvalue(index) => Some(Source::Upvalue(index)),
            _ => None,
        }
    }

    /// The variable that this pushes evaluated.
    fn forced(self) -> Option<Source> {
        match self {
            Self::ForceLocal(slot) => Some(Source::Local(slot)),
            Self::ForceUpvalue(index) => Some(Source::Upvalue(index)),
            _ => None,
        }
    }
}
