//! Memory at low addresses.
//!
//! Half of an object's address fits into the 32 bits of a value only if the object lies in the
//! lowest 8 GiB. Little else does, for programs and libraries are loaded much higher, so the
//! kernel is asked for memory at one address after the other, and says which are taken. That
//! also keeps the heaps of several evaluators apart.

use std::alloc::{Layout, handle_alloc_error};

/// Memory comes in multiples of this, at multiples of this: a huge page.
pub(super) const UNIT: usize = 2 * 1024 * 1024;

/// No heap has memory from this address on.
pub(super) const HIGHEST: usize = 1 << 33;

/// Below are programs that are not loaded where the system likes, and what they allocate.
const LOWEST: usize = 256 * 1024 * 1024;

/// How many bytes of addresses there are for all heaps.
pub(super) const ADDRESSES: usize = HIGHEST - LOWEST;

/// So many bytes of memory, zeroed when they are first touched. The process ends if there are
/// none left, as it does for want of any memory.
pub(super) fn map(bytes: usize) -> *mut u64 {
    debug_assert!(bytes.is_multiple_of(UNIT));
    match kernel::map(bytes) {
        Some(start) => start,
        None => handle_alloc_error(layout(bytes)),
    }
}

/// Give back what [`map`] gave.
///
/// # Safety
///
/// It was not given back before, and nobody uses it any more.
pub(super) unsafe fn unmap(start: *mut u64, bytes: usize) {
    // SAFETY: as said above.
    unsafe { kernel::unmap(start, bytes) };
}

/// Let what lies on the whole pages of a part go. They are zeroed when they are touched again.
///
/// # Safety
///
/// The part is of what [`map`] gave, and what lies there is not needed any more.
pub(super) unsafe fn clear(start: *mut u64, bytes: usize) {
    // SAFETY: as said above.
    unsafe { kernel::clear(start, bytes) };
}

/// Get the pages of a part ready, all of which is soon used.
pub(super) fn populate(start: *mut u64, bytes: usize) {
    kernel::populate(start, bytes);
}

/// Have a part on huge pages.
pub(super) fn prefer_huge_pages(start: *mut u64, bytes: usize) {
    kernel::prefer_huge_pages(start, bytes);
}

/// How many bytes of memory there are in all.
pub(super) fn of_the_machine() -> usize {
    kernel::of_the_machine()
}

fn layout(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes, UNIT) {
        Ok(layout) => layout,
        Err(_) => unreachable!("the longest list is far from the largest size"),
    }
}

#[cfg(not(miri))]
mod kernel {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::io::Errno;
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
    use rustix::param::page_size;

    use super::{HIGHEST, LOWEST, UNIT};

    /// Where to look first: after what was found last. Only a hint, so any order will do.
    static NEXT: AtomicUsize = AtomicUsize::new(LOWEST);

    pub(super) fn map(bytes: usize) -> Option<*mut u64> {
        let highest_start = HIGHEST.checked_sub(bytes)?;
        let first = NEXT.load(Ordering::Relaxed);
        let upwards = (first..HIGHEST).step_by(UNIT);
        let starts = upwards.chain((LOWEST..first).step_by(UNIT));
        for start in starts.filter(|&start| start <= highest_start) {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
            let wanted = std::ptr::without_provenance_mut(start);
            // SAFETY: new memory, which replaces none.
            match unsafe { mmap_anonymous(wanted, bytes, access, flags) } {
                Ok(found) if found == wanted => {
                    NEXT.store(start + bytes, Ordering::Relaxed);
                    return Some(found.cast());
                }
                // A kernel that takes the address for a mere wish (before Linux 4.17).
                // SAFETY: just mapped, and used by nobody.
                Ok(elsewhere) => drop(unsafe { munmap(elsewhere, bytes) }),
                Err(Errno::EXIST) => {}
                Err(_) => return None,
            }
        }
        None
    }

    pub(super) unsafe fn unmap(start: *mut u64, bytes: usize) {
        // SAFETY: the caller's promise. If it fails, the memory merely stays.
        let _ = unsafe { munmap(start.cast(), bytes) };
    }

    pub(super) unsafe fn clear(start: *mut u64, bytes: usize) {
        let page = page_size();
        let before = start.addr().next_multiple_of(page) - start.addr();
        let whole = bytes.saturating_sub(before) / page * page;
        if whole > 0 {
            let first = start.wrapping_byte_add(before);
            // SAFETY: whole pages, and the caller's promise. If it fails, the memory merely stays.
            let _ = unsafe { madvise(first.cast(), whole, Advice::LinuxDontNeed) };
        }
    }

    pub(super) fn populate(start: *mut u64, bytes: usize) {
        advise(start, bytes, Advice::LinuxPopulateWrite);
    }

    pub(super) fn prefer_huge_pages(start: *mut u64, bytes: usize) {
        advise(start, bytes, Advice::LinuxHugepage);
    }

    pub(super) fn of_the_machine() -> usize {
        let system = rustix::system::sysinfo();
        let units = system.totalram.saturating_add(system.totalswap);
        usize::try_from(units).unwrap_or(usize::MAX).saturating_mul(system.mem_unit as usize)
    }

    fn advise(start: *mut u64, bytes: usize, advice: Advice) {
        // SAFETY: advice that changes no content, and failing changes nothing.
        let _ = unsafe { madvise(start.cast(), bytes, advice) };
    }
}

/// Miri has no addresses to choose; those that it gives are low.
#[cfg(miri)]
mod kernel {
    use std::alloc::{alloc_zeroed, dealloc};

    use super::{HIGHEST, layout};

    pub(super) fn map(bytes: usize) -> Option<*mut u64> {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout(bytes)) }.cast::<u64>();
        (!start.is_null() && start.addr() + bytes <= HIGHEST).then_some(start)
    }

    pub(super) unsafe fn unmap(start: *mut u64, bytes: usize) {
        // SAFETY: the caller's promise.
        unsafe { dealloc(start.cast(), layout(bytes)) };
    }

    pub(super) fn of_the_machine() -> usize {
        HIGHEST
    }

    pub(super) unsafe fn clear(_: *mut u64, _: usize) {}

    pub(super) fn populate(_: *mut u64, _: usize) {}

    pub(super) fn prefer_huge_pages(_: *mut u64, _: usize) {}
}
