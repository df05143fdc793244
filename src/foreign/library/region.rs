//! Memory between guards: on both sides of it lie pages that nobody may touch. Who touches one is found out, and let go on, so that
//! the call comes to its end and can be told of.
//!
//! The memory is mapped once and used for call after call. A guard is address space without memory behind it. A touch raises a
//! signal; the handler writes down the address, opens that one page, and returns. What else raises the signal is left to
//! whoever handled it before, and is what it was without us: a crash.
// Guard pages, and the signal handler that finds out who touches them.
#![allow(unsafe_code)]

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};

/// How many regions there are at most: one each for the logits, the direction and the outputs.
pub(super) const REGIONS: usize = 3;

/// Bytes of a guard on either side: the largest that the system grants.
const GUARDS: [usize; 3] = [64 << 20, 1 << 20, 64 << 10];

/// The largest memory that is kept for the next call, in bytes.
const KEPT: usize = 4 << 20;

/// Pages that one call may touch. Beyond, it crashes: a loop that has left its buffer for good must end.
const MOST_TOUCHED: usize = 64;

/// What a touch of a guard was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    /// The machine does not say.
    Unknown,
}

/// The first touch of a guard in a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub region: usize,
    pub address: usize,
    pub access: Access,
}

/// Memory for one buffer.
pub(super) struct Region {
    number: usize,
    memory: Memory,
}

enum Memory {
    Nothing,
    /// All of the mapping, and in its middle what may be touched. Addresses, for the memory is nobody's but this value's.
    Mapped {
        all: (usize, usize),
        room: (usize, usize),
    },
    /// Where nothing can be mapped: no guards.
    Heap(Vec<u64>),
}

impl Region {
    /// Region `number` of [`REGIONS`], without memory. There must be one of each number at a time.
    pub const fn new(number: usize) -> Self {
        Self { number, memory: Memory::Nothing }
    }

    /// Sees to it that there are so many bytes at least.
    pub fn make_room(&mut self, bytes: usize) {
        if self.bytes().len() >= bytes {
            return;
        }
        self.release();
        let room = bytes.next_power_of_two().next_multiple_of(page_size());
        self.memory = match GUARDS.iter().find_map(|&guard| map(guard, room)) {
            Some((all, room)) => {
                watch_guards();
                WATCHED[self.number].set(all, room);
                Memory::Mapped { all, room }
            }
            None => Memory::Heap(vec![0; bytes.div_ceil(size_of::<u64>())]),
        };
    }

    /// Whether a guard lies at both ends.
    pub fn is_guarded(&self) -> bool {
        matches!(self.memory, Memory::Mapped { .. })
    }

    /// Gives back what is too large to be kept.
    pub fn trim(&mut self) {
        if self.bytes().len() > KEPT {
            self.release();
        }
    }

    /// The memory, from guard to guard.
    pub fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Nothing => &[],
            // SAFETY: this part of the mapping can be read and written for as long as this value lives, and belongs to it alone.
            Memory::Mapped { room: (start, len), .. } => unsafe {
                std::slice::from_raw_parts(ptr::with_exposed_provenance(*start), *len)
            },
            // SAFETY: the bytes of a vector of words, all initialised.
            Memory::Heap(words) => unsafe {
                std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(&words[..]))
            },
        }
    }

    /// The same, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Nothing => &mut [],
            // SAFETY: as above, and nobody else has a reference.
            Memory::Mapped { room: (start, len), .. } => unsafe {
                std::slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(*start), *len)
            },
            // SAFETY: as above, and any bytes make words.
            Memory::Heap(words) => unsafe {
                std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(&words[..]))
            },
        }
    }

    fn release(&mut self) {
        if let Memory::Mapped { all: (start, len), .. } = std::mem::replace(&mut self.memory, Memory::Nothing) {
            WATCHED[self.number].set((0, 0), (0, 0));
            // SAFETY: the whole of a mapping that was made here and to which no reference is left.
            let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(start), len) };
        }
    }
}

/// The start and the length of a mapping, and of what may be touched in it: `room` bytes between two guards.
fn map(guard: usize, room: usize) -> Option<((usize, usize), (usize, usize))> {
    let len = guard.checked_mul(2)?.checked_add(room)?;
    // SAFETY: new memory, at an address that the system chooses.
    let all = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }.ok()?;
    let start = all.expose_provenance();
    // SAFETY: a part of the new mapping.
    if unsafe { open(start + guard, room) } {
        return Some(((start, len), (start + guard, room)));
    }
    // SAFETY: as in `release`.
    let _ = unsafe { munmap(all, len) };
    None
}

/// Allows reading and writing of whole pages; false where the system refuses. Only a system call, which a signal handler may make.
///
/// # Safety
/// The pages belong to a mapping of a region.
unsafe fn open(start: usize, len: usize) -> bool {
    // SAFETY: as the caller promises.
    unsafe { mprotect(ptr::with_exposed_provenance_mut(start), len, MprotectFlags::READ | MprotectFlags::WRITE) }
        .is_ok()
}

/// Where the regions lie, for the signal handler.
struct Watched {
    all: [AtomicUsize; 2],
    room: [AtomicUsize; 2],
}

static WATCHED: [Watched; REGIONS] =
    [const { Watched { all: [const { AtomicUsize::new(0) }; 2], room: [const { AtomicUsize::new(0) }; 2] } }; REGIONS];

impl Watched {
    fn set(&self, all: (usize, usize), room: (usize, usize)) {
        // What is within nothing is no guard, so the outer bounds come last.
        self.all[1].store(0, SeqCst);
        self.room[0].store(room.0, SeqCst);
        self.room[1].store(room.0 + room.1, SeqCst);
        self.all[0].store(all.0, SeqCst);
        self.all[1].store(all.0 + all.1, SeqCst);
    }

    fn is_guard(&self, address: usize) -> bool {
        let within = |bounds: &[AtomicUsize; 2]| (bounds[0].load(SeqCst)..bounds[1].load(SeqCst)).contains(&address);
        within(&self.all) && !within(&self.room)
    }
}

/// The pages of guards that were opened since the last look.
static TOUCHED: [AtomicUsize; MOST_TOUCHED] = [const { AtomicUsize::new(0) }; MOST_TOUCHED];
/// How many touches there were.
static TOUCHES: AtomicUsize = AtomicUsize::new(0);
/// The address of the first, and whether it read or wrote (0 where that is unknown).
static FIRST: AtomicUsize = AtomicUsize::new(0);
static FIRST_ACCESS: AtomicU8 = AtomicU8::new(0);
const READ: u8 = 1;
const WRITE: u8 = 2;
/// The size of a page, which a handler must not ask for.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// The first touch of a guard since the last look; every page that was opened is a guard again, without memory.
pub(super) fn take_touch() -> Option<Touch> {
    let count = TOUCHES.load(SeqCst).min(MOST_TOUCHED);
    if count == 0 {
        return None;
    }
    let page = PAGE.load(SeqCst);
    for touched in &TOUCHED[..count] {
        let address = ptr::with_exposed_provenance_mut(touched.load(SeqCst));
        // SAFETY: a page of a guard, to which there is no reference; what is mapped over it is a guard again.
        let _ = unsafe { mmap_anonymous(address, page, ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::FIXED) };
    }
    TOUCHES.store(0, SeqCst);
    let address = FIRST.swap(0, SeqCst);
    let region = WATCHED.iter().position(|watched| watched.is_guard(address))?;
    let access = match FIRST_ACCESS.swap(0, SeqCst) {
        READ => Access::Read,
        WRITE => Access::Write,
        _ => Access::Unknown,
    };
    Some(Touch { region, address, access })
}

/// The signals of a forbidden access, and what was done on each before.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
static BEFORE: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

/// Puts the handler in place, once in the life of the process. The standard library has given the thread a stack for signals.
fn watch_guards() {
    BEFORE.get_or_init(|| {
        PAGE.store(page_size(), SeqCst);
        SIGNALS.map(|signal| {
            // SAFETY: `sigaction` is a structure of C, for which zeros are a value: no flags, no signals masked.
            let (mut ours, mut before): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
            ours.sa_sigaction = on_fault as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: two structures that live through the call, and a handler that does nothing which a handler may not do.
            unsafe { libc::sigaction(signal, &raw const ours, &raw mut before) };
            before
        })
    });
}

/// The handler: atomics and system calls, nothing else.
extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes the information that was asked for.
    let address = unsafe { (*info).si_addr() }.addr();
    if WATCHED.iter().any(|watched| watched.is_guard(address)) {
        let count = TOUCHES.fetch_add(1, SeqCst);
        let size = PAGE.load(SeqCst);
        let page = address & !(size - 1);
        // SAFETY: a page of a guard.
        if let Some(touched) = TOUCHED.get(count)
            && unsafe { open(page, size) }
        {
            touched.store(page, SeqCst);
            if FIRST.compare_exchange(0, address, SeqCst, SeqCst).is_ok() {
                // SAFETY: the context is that of the access.
                FIRST_ACCESS.store(unsafe { access(context) }, SeqCst);
            }
            return;
        }
    }
    // None of ours: the access is tried again, under the handler from before. Where that cannot be put back, the default ends the
    // process.
    let place = usize::from(signal != SIGNALS[0]);
    let before = BEFORE.get().map_or(ptr::null(), |before| &raw const before[place]);
    // SAFETY: an action that was in place before; for none, the default.
    unsafe {
        if before.is_null() || libc::sigaction(signal, before, ptr::null_mut()) != 0 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Whether the access of a page fault read or wrote.
///
/// # Safety
/// The context is one that the system passed to a handler.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
unsafe fn access(context: *mut c_void) -> u8 {
    /// Of the error code of a page fault.
    const IS_WRITE: i64 = 1 << 1;
    // SAFETY: the system passes a pointer to this structure.
    let code = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_ERR as usize] };
    if code & IS_WRITE == 0 { READ } else { WRITE }
}

/// Elsewhere the context does not tell it in one place.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
unsafe fn access(_: *mut c_void) -> u8 {
    0
}
