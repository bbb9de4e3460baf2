//! A box that leaves room beside it.

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};

/// No address that a program has sets this bit, here of the address's upper half.
const NEVER_IN_ADDRESSES: u32 = 1 << 31;

/// A box as the two halves of its address. The upper one is never zero, which a `Result` makes use
/// of: beside this, half a word such as a value takes no more room. So the result of evaluating
/// something is one word and comes back in a register; one that is written to memory in parts and
/// read as a whole has the processor wait for the parts.
#[repr(C)]
pub(crate) struct HalvedBox<T> {
    lower: u32,
    upper: NonZeroU32,
    owned: PhantomData<Box<T>>,
}

impl<T> HalvedBox<T> {
    #[cold]
    pub(crate) fn new(content: T) -> Self {
        let address = Box::into_raw(Box::new(content)).expose_provenance() as u64;
        let upper = NonZeroU32::new((address >> 32) as u32 | NEVER_IN_ADDRESSES);
        let Some(upper) = upper else { unreachable!("one bit is set") };
        Self { lower: address as u32, upper, owned: PhantomData }
    }

    fn pointer(&self) -> *mut T {
        let upper = self.upper.get() & !NEVER_IN_ADDRESSES;
        let address = u64::from(upper) << 32 | u64::from(self.lower);
        std::ptr::with_exposed_provenance_mut(address as usize)
    }
}

impl<T> Deref for HalvedBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: made from a box, which this owns.
        unsafe { &*self.pointer() }
    }
}

impl<T> DerefMut for HalvedBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and nobody else has it.
        unsafe { &mut *self.pointer() }
    }
}

impl<T> Drop for HalvedBox<T> {
    fn drop(&mut self) {
        // SAFETY: as above, and this is the last use.
        drop(unsafe { Box::from_raw(self.pointer()) });
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for HalvedBox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::HalvedBox;
    use crate::value::Value;

    #[test]
    fn it_holds_its_content_and_drops_it_once() {
        let counted = Rc::new(7);
        let mut halved = HalvedBox::new((Rc::clone(&counted), 1));
        halved.1 += 1;
        assert_eq!((*halved.0, halved.1, Rc::strong_count(&counted)), (7, 2, 2));
        drop(halved);
        assert_eq!(Rc::strong_count(&counted), 1);
    }

    #[test]
    fn a_value_or_it_is_one_word() {
        assert_eq!(size_of::<Result<Value, HalvedBox<String>>>(), size_of::<u64>());
    }
}
