//! Attribute sets.
//!
//! A flat set is a shape (sorted names and their positions) and values in its order;
//! sets made by one literal, or by mapping over one set, share their shape. What mapping
//! gives was not written anywhere: such a set is marked, and its positions do not count. A layered
//! set is what `//` makes of a large set and a small one: flat layers, the newest
//! first, each at least half as long again as the one before, so that there are at most
//! a logarithm of them and many small updates do not copy the large set each time.
//! What needs all attributes in order makes it flat once.

use smallvec::SmallVec;

use super::Heap;
use super::object::{Kind, Obj};
use crate::Value;
use crate::source::Pos;
use crate::symbol::Symbol;

/// Sets up to this long are merged by copying.
const SMALL_SET: usize = 24;

/// Sets up to this long are searched from the front.
const LINEAR_SEARCH: usize = 8;

/// The header's small number of a flat set whose attributes have no positions.
const MAPPED: usize = 1;

/// An attribute set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attrs(Obj);

impl Attrs {
    #[inline(always)]
    pub(crate) fn new(object: Obj) -> Self {
        Self(object)
    }

    /// The set as a value.
    pub fn value(self) -> Value {
        Value::object(self.0)
    }

    /// How many attributes there are.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.0.extra() as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline(always)]
    fn flat(self) -> Option<Self> {
        match self.0.kind() {
            Kind::Attrs => Some(self),
            _ => self.0.object_if_any(0).map(Self),
        }
    }

    fn layers(self) -> impl Iterator<Item = Self> {
        let count = self.0.small();
        (1..=count).map(move |i| Self(self.0.object(i)))
    }

    /// An attribute's value and where it was defined.
    #[inline]
    pub fn find(self, name: Symbol) -> Option<(Value, Pos)> {
        match self.flat() {
            Some(flat) => flat.find_flat(name),
            None => self.layers().find_map(|layer| layer.find_flat(name)),
        }
    }

    #[inline(always)]
    fn find_flat(self, name: Symbol) -> Option<(Value, Pos)> {
        let index = self.index_of(name)?;
        Some((self.0.value(index + 1), self.position(index)))
    }

    #[inline(always)]
    fn index_of(self, name: Symbol) -> Option<usize> {
        let names = self.names();
        if names.len() <= LINEAR_SEARCH {
            names.iter().position(|&other| other == name.0)
        } else {
            names.binary_search(&name.0).ok()
        }
    }

    /// An attribute's value.
    #[inline]
    pub fn get(self, name: Symbol) -> Option<Value> {
        match self.flat() {
            Some(flat) => flat.index_of(name).map(|index| flat.0.value(index + 1)),
            None => self.find(name).map(|(value, _)| value),
        }
    }

    /// The value of the attribute at an index, if that has the name; of a flat set.
    #[inline(always)]
    pub(crate) fn get_at(self, index: usize, name: Symbol) -> Option<Value> {
        let found = *self.names().get(index)?;
        (found == name.0).then(|| self.0.value(index + 1))
    }

    /// An attribute's value, and its index if the set is flat.
    pub(crate) fn search(self, name: Symbol) -> Option<(Value, Option<usize>)> {
        match self.0.kind() {
            Kind::Attrs => self.index_of(name).map(|index| (self.0.value(index + 1), Some(index))),
            _ => self.get(name).map(|value| (value, None)),
        }
    }

    /// Put a value into a set that nobody has seen yet and that has the name: how sets
    /// that hold each other are made.
    pub(crate) fn complete(self, name: Symbol, value: Value) {
        if let Some(index) = self.index_of(name) {
            self.0.set_value(index + 1, value);
        }
    }

    /// Names in the order of their numbers; of a flat set.
    #[inline(always)]
    pub(crate) fn names(self) -> &'static [u32] {
        self.shape().part(0)
    }

    /// Where the attribute at an index was defined; of a flat set.
    #[inline(always)]
    fn position(self, index: usize) -> Pos {
        self.positions().at(index)
    }

    /// Where all attributes were defined; of a flat set.
    #[inline(always)]
    fn positions(self) -> Positions {
        Positions((self.0.small() != MAPPED).then(|| self.shape().part(1)))
    }

    /// Values in the order of their names' numbers; of a flat set.
    #[inline(always)]
    pub(crate) fn values(self) -> &'static [Value] {
        self.0.values(1, self.len())
    }

    /// Names and positions, to share with another set; of a flat set.
    #[inline(always)]
    pub(crate) fn shape(self) -> Obj {
        debug_assert!(self.0.kind() == Kind::Attrs, "made flat before");
        self.0.object(0)
    }

    /// What names and positions there are, as a number; of a flat set. The shape says it, but for
    /// whether the positions count.
    #[inline(always)]
    fn shape_number(self) -> u32 {
        self.shape().bits().get() | u32::from(self.0.small() == MAPPED)
    }

    /// Every attribute in the order of the names' numbers; of a flat set.
    pub fn iter(self) -> impl Iterator<Item = (Symbol, Pos, Value)> {
        let (names, values) = (self.names(), self.values());
        (0..self.len()).map(move |i| (Symbol(names[i]), self.position(i), values[i]))
    }

    /// The attribute at an index; of a flat set.
    pub(crate) fn at(self, index: usize) -> (Symbol, Pos, Value) {
        (Symbol(self.names()[index]), self.position(index), self.values()[index])
    }
}

/// The positions of a flat set, if it was written anywhere.
#[derive(Clone, Copy)]
struct Positions(Option<&'static [u32]>);

impl Positions {
    #[inline(always)]
    fn at(self, index: usize) -> Pos {
        self.0.map_or(Pos::NONE, |positions| Pos(positions[index]))
    }
}

impl Heap {
    /// A shape of names, sorted by number, with their positions.
    pub(crate) fn shape(&mut self, names: &[(Symbol, Pos)], permanent: bool) -> Obj {
        debug_assert!(names.is_sorted_by(|a, b| a.0 < b.0), "sorted, no name twice");
        let small = usize::from(permanent);
        let shape = self.allocate_fields(Kind::Shape, small, names.len(), 2 * names.len());
        for (i, (name, pos)) in names.iter().enumerate() {
            shape.set_in_part(0, i, name.0);
            shape.set_in_part(1, i, pos.0);
        }
        shape
    }

    /// `{ }`.
    pub(crate) fn empty_attrs(&self) -> Value {
        self.empty_attrs
    }

    /// A set of a shape and values, in its order where no other is given.
    #[inline]
    pub(crate) fn attrs_of_shape(&mut self, shape: Obj, order: &[u32], values: &[Value]) -> Value {
        debug_assert_eq!(shape.extra() as usize, values.len());
        if values.is_empty() {
            return self.empty_attrs;
        }
        let object = self.allocate_fields(Kind::Attrs, 0, values.len(), values.len() + 1);
        object.set_object(0, shape);
        match order {
            [] => object.set_values(1, values),
            order => {
                for (i, &which) in order.iter().enumerate() {
                    object.set_value(i + 1, values[which as usize]);
                }
            }
        }
        Value::object(object)
    }

    /// A set with the same names, its values made one by one; none has a position.
    pub(crate) fn attrs_like(
        &mut self,
        like: Attrs,
        mut value: impl FnMut(&mut Self, Symbol, Value) -> Value,
    ) -> Value {
        if like.is_empty() {
            return self.empty_attrs;
        }
        let object = self.allocate_fields(Kind::Attrs, MAPPED, like.len(), like.len() + 1);
        object.set_object(0, like.shape());
        for (i, (name, _, old)) in like.iter().enumerate() {
            let new = value(self, name, old);
            object.set_value(i + 1, new);
        }
        Value::object(object)
    }

    /// A set of attributes in any order; of a name given twice, the last counts.
    pub(crate) fn attrs(&mut self, mut attributes: Vec<(Symbol, Pos, Value)>) -> Value {
        if !attributes.is_sorted_by(|a, b| a.0 < b.0) {
            attributes.sort_by_key(|attribute| attribute.0);
            let mut kept: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(attributes.len());
            for attribute in attributes {
                match kept.last_mut() {
                    Some(last) if last.0 == attribute.0 => *last = attribute,
                    _ => kept.push(attribute),
                }
            }
            attributes = kept;
        }
        self.attrs_sorted(&attributes)
    }

    /// A set of attributes sorted by their names' numbers, no name twice.
    pub(crate) fn attrs_sorted(&mut self, attributes: &[(Symbol, Pos, Value)]) -> Value {
        if attributes.is_empty() {
            return self.empty_attrs;
        }
        let length = attributes.len();
        let shape = self.allocate_fields(Kind::Shape, 0, length, 2 * length);
        let object = self.allocate_fields(Kind::Attrs, 0, length, length + 1);
        object.set_object(0, shape);
        for (i, (name, pos, value)) in attributes.iter().enumerate() {
            shape.set_in_part(0, i, name.0);
            shape.set_in_part(1, i, pos.0);
            object.set_value(i + 1, *value);
        }
        Value::object(object)
    }

    /// The set with all attributes in one place; made once per set.
    pub(crate) fn flat(&mut self, attrs: Attrs) -> Attrs {
        if let Some(flat) = attrs.flat() {
            return flat;
        }
        let mut layers = attrs.layers();
        let Some(mut merged) = layers.next() else { unreachable!("layered sets have layers") };
        for older in layers {
            merged = self.merge(older, merged);
        }
        attrs.0.set_object(0, merged.0);
        merged
    }

    /// `left // right`.
    pub(crate) fn update(&mut self, left: Attrs, right: Attrs) -> Value {
        if right.is_empty() {
            return left.value();
        }
        if left.is_empty() {
            return right.value();
        }
        if left.len() <= SMALL_SET || right.len() * 4 > left.len() {
            let (left, right) = (self.flat(left), self.flat(right));
            return self.merge(left, right).value();
        }
        let right = self.flat(right);
        let added = right.names().iter().filter(|&&name| left.get(Symbol(name)).is_none()).count();
        let total = left.len() + added;
        // Newest last while merging.
        let mut layers: SmallVec<[Attrs; 16]> = match left.flat() {
            Some(flat) => SmallVec::from_elem(flat, 1),
            None => left.layers().collect(),
        };
        layers.reverse();
        let mut top = right;
        while let Some(older) = layers.pop() {
            if older.len() > 2 * top.len() {
                layers.push(older);
                break;
            }
            top = self.merge(older, top);
        }
        layers.push(top);
        if layers.len() == 1 {
            return top.value();
        }
        let object = self.allocate_fields(Kind::Layered, layers.len(), total, layers.len() + 1);
        object.set_object_if_any(0, None);
        for (i, layer) in layers.iter().rev().enumerate() {
            object.set_object(i + 1, layer.0);
        }
        Value::object(object)
    }

    /// Two flat sets in one flat set; `newer` wins.
    fn merge(&mut self, older: Attrs, newer: Attrs) -> Attrs {
        let (from, to) = (older.shape_number(), newer.shape_number());
        let shape = match self.merged_shapes.get(from, to) {
            Some(shape) => shape,
            None => {
                let Some(shape) = self.merged_shape(older, newer) else { return newer };
                self.merged_shapes.insert(from, to, shape);
                shape
            }
        };
        let length = shape.extra() as usize;
        let object = self.allocate_fields(Kind::Attrs, 0, length, length + 1);
        object.set_object(0, shape);
        let (a, b) = (older.names(), newer.names());
        let (a_val, b_val) = (&older.values()[..a.len()], &newer.values()[..b.len()]);
        let mut next = 0;
        interleave(a, b, |side| {
            let value = match side {
                Side::Older(i) => a_val[i],
                Side::Newer(j) => b_val[j],
            };
            next += 1;
            object.set_value(next, value);
        });
        Attrs(object)
    }

    /// The shape of two flat sets merged, unless the newer one has all the names.
    fn merged_shape(&mut self, older: Attrs, newer: Attrs) -> Option<Obj> {
        let (a, b) = (older.names(), newer.names());
        let mut length = 0;
        interleave(a, b, |_| length += 1);
        if length == b.len() {
            return None;
        }
        let shape = self.allocate_fields(Kind::Shape, 0, length, 2 * length);
        let (a_pos, b_pos) = (older.positions(), newer.positions());
        let mut next = 0;
        interleave(a, b, |side| {
            let (name, pos) = match side {
                Side::Older(i) => (a[i], a_pos.at(i)),
                Side::Newer(j) => (b[j], b_pos.at(j)),
            };
            shape.set_in_part(0, next, name);
            shape.set_in_part(1, next, pos.0);
            next += 1;
        });
        Some(shape)
    }
}

/// Where an attribute of two sets merged comes from: its index there.
enum Side {
    Older(usize),
    Newer(usize),
}

/// Go through the names of two sets together, each sorted; of one that both have, the newer counts.
#[inline(always)]
fn interleave(older: &[u32], newer: &[u32], mut each: impl FnMut(Side)) {
    let (mut i, mut j) = (0, 0);
    while i < older.len() && j < newer.len() {
        let (x, y) = (older[i], newer[j]);
        each(if y <= x { Side::Newer(j) } else { Side::Older(i) });
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    (i..older.len()).map(Side::Older).chain((j..newer.len()).map(Side::Newer)).for_each(each);
}
