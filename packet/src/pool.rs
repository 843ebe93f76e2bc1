//! Buffers, recycled per thread.
//!
//! # Algorithm
//!
//! Every thread keeps two bounded stacks of free buffers, one per [class](Class). Taking one pops, giving one back
//! pushes; when the stack is empty a buffer is allocated, when it is full one is freed. A buffer goes back to the stack
//! of the thread that drops it: a worker that receives and sends by itself, as workers do, always finds its own.
//!
//! # Invariants
//!
//! - No locks, no atomics; a stack is only ever seen by its thread.
//! - A buffer's bytes are initialised (zero when new, what the last packet left when recycled) but mean nothing. None is
//!   zeroed again.
//! - A thread holds at most [`Class::KEEP_SMALL`] + [`Class::KEEP_LARGE`] free buffers: 8 MiB of each class.
//!
//! # Costs
//!
//! A pop and a push of 16 bytes on warm lines. The last buffer given back is the next one taken, so that it is in cache.

use std::cell::RefCell;

/// Size class of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Class {
    /// 2 KiB: any frame of a 1500-byte MTU, with room for tunnel headers.
    Small,
    /// 66 KiB: a super-frame with all its headers.
    Large,
}

impl Class {
    /// Free small buffers a thread keeps.
    pub const KEEP_SMALL: usize = 4096;
    /// Free large buffers a thread keeps.
    pub const KEEP_LARGE: usize = 124;

    /// Size in bytes, headroom included.
    pub const fn size(self) -> usize {
        match self {
            Self::Small => 2048,
            Self::Large => 66 * 1024,
        }
    }

    const fn keep(self) -> usize {
        match self {
            Self::Small => Self::KEEP_SMALL,
            Self::Large => Self::KEEP_LARGE,
        }
    }

    /// The class whose buffers have `size` bytes.
    const fn of_size(size: usize) -> Option<Self> {
        match size {
            2048 => Some(Self::Small),
            s if s == Self::Large.size() => Some(Self::Large),
            _ => None,
        }
    }
}

/// A buffer's memory.
pub(crate) type Memory = Box<[u8]>;

struct Stacks {
    small: Vec<Memory>,
    large: Vec<Memory>,
}

impl Stacks {
    fn of(&mut self, class: Class) -> &mut Vec<Memory> {
        match class {
            Class::Small => &mut self.small,
            Class::Large => &mut self.large,
        }
    }
}

thread_local! {
    static FREE: RefCell<Stacks> = const { RefCell::new(Stacks { small: Vec::new(), large: Vec::new() }) };
}

/// A buffer of this class: recycled if the thread has one, else new.
pub(crate) fn take(class: Class) -> Memory {
    let recycled = FREE.try_with(|free| free.borrow_mut().of(class).pop()).ok().flatten();
    recycled.unwrap_or_else(|| vec![0; class.size()].into_boxed_slice())
}

/// Gives a buffer back to this thread's stack, or frees it when that is full (or the thread is ending).
pub(crate) fn give(memory: Memory) {
    let Some(class) = Class::of_size(memory.len()) else { return };
    // When the thread's stacks are already gone, the closure is dropped uncalled, and the memory with it.
    let _ = FREE.try_with(move |free| {
        let mut free = free.borrow_mut();
        let stack = free.of(class);
        if stack.len() < class.keep() {
            stack.push(memory);
        }
    });
}

/// Number of free buffers of this class that the calling thread holds.
pub fn free_buffers(class: Class) -> usize {
    FREE.try_with(|free| free.borrow_mut().of(class).len()).unwrap_or(0)
}

/// Makes sure that the calling thread holds at least `count` free buffers of this class (but no more than it keeps), so
/// that none is allocated while packets flow.
pub fn reserve(class: Class, count: usize) {
    let want = count.min(class.keep());
    let have = free_buffers(class);
    let fresh: Vec<Memory> = (have..want).map(|_| vec![0; class.size()].into_boxed_slice()).collect();
    fresh.into_iter().for_each(give);
}

/// Frees all buffers the calling thread holds.
pub fn trim() {
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        free.small = Vec::new();
        free.large = Vec::new();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_recycled_up_to_the_limit() {
        trim();
        let memory = take(Class::Small);
        let address = memory.as_ptr();
        give(memory);
        assert_eq!(free_buffers(Class::Small), 1);
        let again = take(Class::Small);
        assert_eq!(again.as_ptr(), address);
        reserve(Class::Large, 3);
        assert_eq!(free_buffers(Class::Large), 3);
        reserve(Class::Large, Class::KEEP_LARGE + 10);
        give(vec![0; Class::Large.size()].into_boxed_slice());
        assert_eq!(free_buffers(Class::Large), Class::KEEP_LARGE);
        give(vec![0; 77].into_boxed_slice());
        trim();
        assert_eq!(free_buffers(Class::Large), 0);
    }
}
