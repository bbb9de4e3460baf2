//! The instruction set.
//!
//! A stack machine: instructions take their operands from the top of the evaluation
//! stack and leave one result there. An operand of a strict instruction is always
//! evaluated; the compiler puts a forcing instruction before where it may not be. Those that
//! try something take operands as they are, and leave nothing where it is in vain.
//! Each instruction is one 8-byte word; what does not fit is in the program's tables.
//! Compiled code numbers the entries of tables by prototype, names and constants by text;
//! `machine::link` makes numbers of the program of them.

use super::quick::Quick;
use crate::symbol::Symbol;

/// A stack slot, counted from the frame's base.
pub(crate) type Slot = u32;

/// Where a captured variable is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// In a slot of the running frame.
    Local(Slot),
    /// Among the captures of the running closure or thunk.
    Upvalue(u32),
}

impl Source {
    /// Its number, and whether that is of an upvalue.
    pub(super) fn parts(self) -> (u32, bool) {
        match self {
            Self::Local(slot) => (slot, false),
            Self::Upvalue(index) => (index, true),
        }
    }
}

/// A [`Source`] in one word: four times its number, and one more for an upvalue, two more for
/// the last of a prototype. So which of the two it is chooses between two pointers, without a
/// branch, and nobody counts the few that there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capture(u32);

impl Capture {
    pub(crate) fn new(source: Source, is_last: bool) -> Self {
        let (number, is_upvalue) = source.parts();
        Self(number << 2 | u32::from(is_last) << 1 | u32::from(is_upvalue))
    }

    /// One that is not among a prototype's.
    pub(super) fn alone(source: Source) -> Self {
        Self::new(source, true)
    }

    /// Its number, and whether that is of an upvalue.
    #[inline(always)]
    pub(crate) fn parts(self) -> (usize, bool) {
        ((self.0 >> 2) as usize, self.0 & 1 != 0)
    }

    #[inline(always)]
    pub(crate) fn is_last(self) -> bool {
        self.0 & 2 != 0
    }
}

/// A variable of the running frame or of what runs, in less than a [`Capture`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short(u8);

impl Short {
    /// That of a source whose number is small.
    pub(crate) fn of(source: Source) -> Option<Self> {
        let (number, is_upvalue) = source.parts();
        let number = u8::try_from(number).ok().filter(|&number| number < 1 << 7)?;
        Some(Self(number << 1 | u8::from(is_upvalue)))
    }

    /// Its number, and whether that is of an upvalue.
    #[inline(always)]
    pub(crate) fn parts(self) -> (usize, bool) {
        ((self.0 >> 1) as usize, self.0 & 1 != 0)
    }
}

/// The infix operators that take two evaluated values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Infix {
    Add,
    Sub,
    Mul,
    Div,
    Less,
    LessEq,
    More,
    MoreEq,
    Equal,
    NotEqual,
    Concat,
    Update,
}

/// Which attribute of a set an instruction found the last time: most find it there again, and need
/// not search. The machine notes it in the instruction itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint(pub(crate) u16);

/// An instruction. "Push" means on the evaluation stack; jumps go forward, by a number
/// of instructions after the next one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Leave the run loop: what an entry from native code returns to.
    Exit,
    /// Load the code of the closure or thunk that is to run, and run that.
    Load,
    /// Return the top from a function call.
    Return,
    /// Return the top from a thunk, and keep it there.
    Resolve,
    /// Call the top (a function) with the arguments below it, down to the base.
    CallRest,
    /// Return the top from the frame that held such arguments.
    ReturnRest,
    /// Drop the top, and run again the instruction before the one where the last frame goes on: a
    /// call of a builtin, of which an argument has been evaluated in between. No pair begins with
    /// a call.
    Retry,

    /// Push a constant.
    Constant(u32),
    /// Push a small integer.
    Int(i32),
    /// Push a truth value.
    Bool(bool),
    /// Push a variable as it is.
    Local(Slot),
    Upvalue(u32),
    /// Push this many upvalues, from the second on.
    Upvalues(u32),
    /// Push a variable's value.
    ForceLocal(Slot),
    ForceUpvalue(u32),
    /// Evaluate the top.
    Force,
    /// Drop this many values below the top.
    Slide(u32),

    /// Push a function or a delayed expression with its captures.
    Closure(u32),
    Thunk(u32),
    /// Push one whose captures come later, for bindings that refer to later ones.
    AllocateClosure(u32),
    AllocateThunk(u32),
    /// Fill in the captures of the object in a slot.
    Fill(Slot),
    /// Take what an operation works on, as it is. If all of it is evaluated, and the operation
    /// cannot fail, push what it gives, and skip the next instruction: that is always either
    /// the [`Op::Thunk`] that delays it or [`Op::Unset`].
    TryInfix(Infix),
    TryQuick(Quick),
    TrySelect {
        hint: Hint,
        name: Symbol,
    },
    TrySelectDynamic,
    /// Push that there is no value, for what would work on it to be in vain too.
    Unset,

    /// Call the function below this many arguments.
    Call(u32),
    /// Call a builtin with the `count` arguments on top.
    CallBuiltin {
        count: u8,
        builtin: u32,
    },
    /// The same for one that the run loop can do itself.
    CallQuick {
        quick: Quick,
        builtin: u32,
    },
    /// Take a function and a list; push the call of `map`, which has this number, with both, which
    /// is not made: see `machine::elements`.
    Mapped(u32),
    /// Take a set, check it against a pattern, and push the pattern's fields.
    Match(u32),
    /// If the field in a slot was left out, put a constant there.
    ConstantDefault {
        slot: u16,
        constant: u32,
    },
    /// If the field in a slot was left out, put its default's thunk there.
    AllocateDefault {
        slot: u16,
        prototype: u32,
    },
    /// If the thunk in a slot is such a default, fill in its captures.
    FillDefault(Slot),

    /// Take a contract and its blame; replace the value below by what keeps it.
    Check,
    /// Take a contract and its blame; let the argument in a slot be checked when it is
    /// needed, unless it is a default, which checks itself.
    CheckArgument(Slot),

    Jump(u32),
    /// Take a truth value, and jump if it is false or true.
    JumpIfFalse(u32),
    JumpIfTrue(u32),
    /// Check that the top is a truth value.
    CheckBool,
    Not,
    Negate,
    /// Take two values; push what the infix operator makes of them. Each is an instruction of its
    /// own: another jump to tell them apart is one more that the processor guesses.
    Add,
    Sub,
    Mul,
    Div,
    Less,
    LessEq,
    More,
    MoreEq,
    Equal,
    NotEqual,
    Concat,
    Update,
    /// Take a truth value and fail if it is false.
    Assert,

    /// Take a set; push its attribute, evaluated.
    Select {
        hint: Hint,
        name: Symbol,
    },
    /// Take a value; push its attribute, evaluated, and skip the next instruction, if it
    /// is a set that has one.
    SelectOrNext {
        hint: Hint,
        name: Symbol,
    },
    /// The same with a computed name, on top of the set.
    SelectDynamic,
    SelectDynamicOrNext,
    /// Take a value; push whether it is a set with the attribute.
    Has {
        hint: Hint,
        name: Symbol,
    },
    HasDynamic,
    /// Take the set of a `with`; push its attribute if it has it, or else skip the next
    /// instruction.
    WithOrSkip {
        hint: Hint,
        name: Symbol,
    },
    /// No scope has the variable.
    Undefined(Symbol),

    /// Push a list of the top values.
    List(u32),
    /// Push a set of a shape with the top values.
    Attrs(u32),
    /// Take a set, a name (null to add nothing) and a value; push the set with that
    /// attribute, defined where this instruction is.
    AddAttr,
    /// Take the `__overrides` of a recursive set: let the variables of the program's list
    /// mean what it says.
    Override(u32),
    /// Push the concatenation of the top values as a string, or as a path.
    Interpolate(u32),
    InterpolatePath(u32),
    /// Push the position of the instruction as a set.
    CurrentPosition,
    /// Push the user's home folder, as a string.
    HomeFolder,
    /// Push the path of a constant's text in the search path.
    FindInSearchPath(u32),

    // Two instructions in one: see `joined`.
    /// Push two variables, as they are.
    Pair {
        first: Short,
        second: Capture,
    },
    /// The same, the first one or both of them evaluated.
    ForceFirst {
        first: Short,
        second: Capture,
    },
    ForceBoth {
        first: Short,
        second: Capture,
    },
    /// Push two thunks, the second of which is the next instruction's.
    ThunkPair(u32),
    /// Push the first upvalue, evaluated, and then this many more.
    ForceAndUpvalues(u32),
    /// Select from a variable.
    SelectFrom {
        variable: Short,
        hint: Hint,
        name: Symbol,
    },
    SelectFromOrNext {
        variable: Short,
        hint: Hint,
        name: Symbol,
    },
    TrySelectFrom {
        variable: Short,
        hint: Hint,
        name: Symbol,
    },
    WithFromOrSkip {
        variable: Short,
        hint: Hint,
        name: Symbol,
    },
    /// Whether the set on top has the attribute that a variable names.
    HasNamed(Capture),
    /// Whether the top equals a constant.
    EqualConstant(u32),
    /// Return a constant from a function call.
    ReturnConstant(u32),
}

/// Those that look for an attribute, before they have found one.
impl Op {
    pub(super) fn select(name: Symbol) -> Self {
        Self::Select { hint: Hint::default(), name }
    }

    pub(super) fn select_or_next(name: Symbol) -> Self {
        Self::SelectOrNext { hint: Hint::default(), name }
    }

    pub(super) fn try_select(name: Symbol) -> Self {
        Self::TrySelect { hint: Hint::default(), name }
    }

    pub(super) fn has(name: Symbol) -> Self {
        Self::Has { hint: Hint::default(), name }
    }

    pub(super) fn with_or_skip(name: Symbol) -> Self {
        Self::WithOrSkip { hint: Hint::default(), name }
    }
}

impl From<Infix> for Op {
    fn from(infix: Infix) -> Self {
        match infix {
            Infix::Add => Self::Add,
            Infix::Sub => Self::Sub,
            Infix::Mul => Self::Mul,
            Infix::Div => Self::Div,
            Infix::Less => Self::Less,
            Infix::LessEq => Self::LessEq,
            Infix::More => Self::More,
            Infix::MoreEq => Self::MoreEq,
            Infix::Equal => Self::Equal,
            Infix::NotEqual => Self::NotEqual,
            Infix::Concat => Self::Concat,
            Infix::Update => Self::Update,
        }
    }
}

const _: () = assert!(size_of::<Op>() == 8, "an instruction is one word");
