//! Making compiled code part of the program: a text's at first only as much as is needed to
//! begin, that of each prototype when it is first run.

use std::num::NonZeroU32;
use std::path::Path;

use super::Machine;
use super::text::canonical;
use crate::heap::Attrs;
use crate::program::{
    Capture, Code, CodePointer, Declaration, Entry, Header, Op, Pattern, Prototype, Reader, Shape,
    Text,
};
use crate::source::SourceId;
use crate::symbol::Symbol;
use crate::value::Value;

impl Machine {
    /// The value of a compiled text, as a thunk.
    pub(super) fn add_code(
        &mut self,
        code: Code,
        source: SourceId,
        folder: &Path,
        scope: Option<Attrs>,
    ) -> Value {
        let (names, constants) = code.counts();
        let texts = &mut self.program.texts;
        texts.push(Text {
            code: code.clone(),
            source,
            folder: folder.to_owned(),
            scope,
            symbols: vec![None; names],
            constants: vec![None; constants],
        });
        let number = texts.len() as u32 - 1;
        let mut linker = Linker { machine: self, number, code: &code };
        let root = linker.prototype(code.root());
        Value::thunk(self.blank(root))
    }

    /// Load a prototype's code; gives its first instruction.
    #[cold]
    #[inline(never)]
    pub(super) fn load_code(&mut self, number: u32) -> CodePointer {
        let prototype = *self.program.prototype(number);
        let code = self.program.texts[prototype.text as usize].code.clone();
        let mut linker = Linker { machine: self, number: prototype.text, code: &code };
        let entry = linker.body(&prototype);
        self.program.prototypes[number as usize].entry = entry;
        entry
    }
}

/// Links code of one text.
struct Linker<'a> {
    machine: &'a mut Machine,
    /// The text, among the program's.
    number: u32,
    code: &'a Code,
}

/// What is added to the numbers of a prototype's own tables.
struct Bases {
    prototypes: u32,
    shapes: u32,
    overrides: u32,
    pattern: u32,
}

impl Linker<'_> {
    fn text(&mut self) -> &mut Text {
        &mut self.machine.program.texts[self.number as usize]
    }

    fn symbol(&mut self, name: Symbol) -> Symbol {
        let number = name.0 as usize;
        if let Some(symbol) = self.text().symbols[number] {
            return symbol;
        }
        let symbol = self.machine.symbols.intern(self.code.name(number));
        self.text().symbols[number] = Some(symbol);
        symbol
    }

    /// Add a prototype that is not loaded.
    fn prototype(&mut self, header: Header) -> u32 {
        let pattern = header.pattern.map(|pattern| self.pattern(pattern));
        let name = header.name.map(|name| self.symbol(name));
        let program = &mut self.machine.program;
        program.max_height = program.max_height.max(header.height);
        let mould = program.next_mould(header.arity, header.capture_count);
        program.prototypes.push(Prototype {
            entry: program.load,
            text: self.number,
            body: header.body,
            arity: header.arity,
            mould,
            capture_start: program.captures.len() as u32,
            height: header.height,
            name,
            pattern,
            span: header.span,
        });
        program.prototypes.len() as u32 - 1
    }

    /// Gives one more than the pattern's number.
    fn pattern(&mut self, mut pattern: Pattern) -> NonZeroU32 {
        for field in &mut pattern.fields {
            field.name = self.symbol(field.name);
        }
        pattern.fields.sort_by_key(|field| field.name);
        let patterns = &mut self.machine.program.patterns;
        patterns.push(pattern);
        match NonZeroU32::new(patterns.len() as u32) {
            Some(number) => number,
            None => unreachable!("there is one at least"),
        }
    }

    /// Read all that a prototype has, in the order of [`Code`].
    fn body(&mut self, prototype: &Prototype) -> CodePointer {
        let mut from = self.code.read(prototype.body as usize);
        let program = &self.machine.program;
        let bases = Bases {
            prototypes: program.prototypes.len() as u32,
            shapes: program.shapes.len() as u32,
            overrides: program.overrides.len() as u32,
            pattern: prototype.pattern.map_or(0, |number| number.get() - 1),
        };
        for _ in 0..from.take::<u32>() {
            self.child(&mut from);
        }
        for _ in 0..from.take::<u32>() {
            self.shape(&mut from);
        }
        for _ in 0..from.take::<u32>() {
            let count: u32 = from.take();
            let variables = (0..count).map(|_| (self.symbol(from.take()), from.take())).collect();
            self.machine.program.overrides.push(variables);
        }
        let count: u32 = from.take();
        let (entry, first) = self.machine.program.code.begin(count as usize);
        for _ in 0..count {
            let op = self.linked(from.take(), &bases);
            self.machine.program.code.push(op);
        }
        self.places(&mut from, first, prototype);
        entry
    }

    fn child(&mut self, from: &mut Reader<'_>) {
        let number = self.prototype(from.take());
        let program = &mut self.machine.program;
        let captures = program.prototype(number).mould.captures();
        for i in 1..=captures {
            program.captures.push(Capture::new(from.take(), i == captures));
        }
    }

    /// Names come as they are in the text.
    fn shape(&mut self, from: &mut Reader<'_>) {
        let count: u32 = from.take();
        let mut names: Vec<_> = (0..count)
            .map(|which| {
                let name = self.symbol(from.take());
                let source = self.text().source;
                (name, self.machine.sources.pos(source, from.take()), which)
            })
            .collect();
        let in_order = names.is_sorted_by_key(|entry| entry.0);
        names.sort_unstable_by_key(|entry| entry.0);
        let attributes: Vec<_> = names.iter().map(|&(name, pos, _)| (name, pos)).collect();
        let object = self.machine.heap.shape(&attributes, true);
        let program = &mut self.machine.program;
        let order = match in_order {
            true => None,
            false => {
                // Zero is no place, so that none is no order.
                if program.orders.is_empty() {
                    program.orders.push(0);
                }
                let start = program.orders.len() as u32;
                program.orders.extend(names.iter().map(|entry| entry.2));
                NonZeroU32::new(start)
            }
        };
        program.shapes.push(Shape { object, order });
    }

    fn linked(&mut self, op: Op, bases: &Bases) -> Op {
        match op {
            Op::Constant(number) => Op::Constant(self.constant(number)),
            Op::FindInSearchPath(number) => Op::FindInSearchPath(self.constant(number)),
            Op::Closure(number) => {
                let number = bases.prototypes + number;
                match self.machine.program.prototype(number).mould.captures() {
                    // One without captures is made once.
                    0 => {
                        let closure = self.machine.blank(number);
                        Op::Constant(self.machine.program.add_constant(Value::object(closure)))
                    }
                    _ => Op::Closure(number),
                }
            }
            Op::Thunk(number) => Op::Thunk(bases.prototypes + number),
            Op::AllocateClosure(number) => Op::AllocateClosure(bases.prototypes + number),
            Op::AllocateThunk(number) => Op::AllocateThunk(bases.prototypes + number),
            Op::ConstantDefault { slot, constant } => {
                Op::ConstantDefault { slot, constant: self.constant(constant) }
            }
            Op::AllocateDefault { slot, prototype } => {
                Op::AllocateDefault { slot, prototype: bases.prototypes + prototype }
            }
            Op::TrySelect { hint, name } => Op::TrySelect { hint, name: self.symbol(name) },
            Op::Match(_) => Op::Match(bases.pattern),
            Op::Attrs(number) => Op::Attrs(bases.shapes + number),
            Op::Override(number) => Op::Override(bases.overrides + number),
            Op::Select { hint, name } => Op::Select { hint, name: self.symbol(name) },
            Op::SelectOrNext { hint, name } => Op::SelectOrNext { hint, name: self.symbol(name) },
            Op::Has { hint, name } => Op::Has { hint, name: self.symbol(name) },
            Op::WithOrSkip { hint, name } => Op::WithOrSkip { hint, name: self.symbol(name) },
            Op::Undefined(name) => Op::Undefined(self.symbol(name)),
            op => op,
        }
    }

    /// Where instructions come from.
    fn places(&mut self, from: &mut Reader<'_>, first: u32, prototype: &Prototype) {
        let program = &mut self.machine.program;
        if program.origins.last().is_none_or(|origin| origin.1 != self.number) {
            program.origins.push((first, self.number));
        }
        let mut instruction = first;
        for _ in 0..from.take::<u32>() {
            instruction += from.take::<u32>();
            let start = (i64::from(prototype.span.start) + from.take::<i64>()) as u32;
            let end = start + from.take::<u32>();
            program.spans.push((instruction, hb_lang::Span { start, end }));
        }
    }

    /// Where the program has a constant of the text.
    fn constant(&mut self, number: u32) -> u32 {
        if let Some(known) = self.text().constants[number as usize] {
            return known.get();
        }
        let value = self.value(self.code.constant(number as usize));
        let index = self.machine.program.add_constant(value);
        self.text().constants[number as usize] = NonZeroU32::new(index);
        index
    }

    fn value(&mut self, entry: Entry<'_>) -> Value {
        match entry {
            Entry::Null => Value::NULL,
            Entry::Bool(truth) => Value::bool(truth),
            Entry::Int(number) => self.machine.int(number),
            Entry::Float(number) => self.machine.float(number),
            Entry::Text(text) => self.machine.string(text),
            Entry::Path(text) => {
                let path = canonical(&self.absolute(text));
                self.machine.heap.path(&path)
            }
            Entry::PathText(text) => {
                let text = self.absolute(text);
                self.machine.string(text)
            }
            Entry::EmptyList => self.machine.heap.empty_list(),
            Entry::EmptyAttrs => self.machine.heap.empty_attrs(),
            Entry::Builtin(number) | Entry::Computed(number) => self.machine.globals.value(number),
            Entry::Builtins => self.machine.globals.builtins(),
            Entry::Primitives => self.machine.globals.primitives(),
            Entry::Scoped(name) => {
                let name = self.symbol(name);
                match self.text().scope.and_then(|scope| scope.get(name)) {
                    Some(value) => value,
                    None => unreachable!("it was there when the text was compiled"),
                }
            }
            Entry::Thunk(header) => {
                let prototype = self.prototype(header);
                Value::thunk(self.machine.blank(prototype))
            }
            Entry::Declaration(subject, contract, keeper) => {
                let source = self.text().source;
                let text = &self.machine.sources.get(source).text;
                let subject = text[std::ops::Range::<usize>::from(subject)].into();
                let declarations = &mut self.machine.program.declarations;
                declarations.push(Declaration::new(source, subject, contract, keeper));
                let number = declarations.len() as i64 - 1;
                self.machine.int(number)
            }
        }
    }

    fn absolute(&mut self, text: &[u8]) -> Vec<u8> {
        if text.starts_with(b"/") {
            return text.to_vec();
        }
        [self.text().folder.as_os_str().as_encoded_bytes(), b"/", text].concat()
    }
}
