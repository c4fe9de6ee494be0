//! The fuzzer's corpus (`fuzz/corpus/experiment`), and thousands of changes of it: no panic, each read within a second
//! and in little memory. What coverage finds beyond that is `cargo +nightly fuzz run experiment`'s to find.

use super::{root, tomls};
use matssl_run::{experiment, stage};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

/// How much one file may take.
const MOST_SECONDS: f64 = 1.0;
const MOST_MEMORY: usize = 128 << 20;
/// Changed files; some 2 ms each.
const CHANGES: u64 = 4000;

/// Counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // Neither allocates: constant, without a destructor.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Seconds of this thread's processor time: other tests run beside this one.
fn seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Reads `bytes` as the experiment `path`; whether it is right.
fn judge(path: &Path, bytes: &[u8]) -> bool {
    let (start, held) = (seconds(), HELD.get());
    MOST.set(held);
    let text = String::from_utf8_lossy(bytes).into_owned();
    let verdict = experiment::parse_text(path, text, &[], stage::KINDS);
    if let Err(wrong) = &verdict {
        assert!(wrong.count() > 0 && wrong.render(false).starts_with("error"));
    }
    let (took, memory) = (seconds() - start, (MOST.get() - held) as usize);
    let (slow, large) = (took > MOST_SECONDS, memory > MOST_MEMORY);
    assert!(!slow && !large, "{took:.2} s, {memory} bytes for:\n{}", String::from_utf8_lossy(bytes));
    verdict.is_ok()
}

/// The next of a sequence of numbers that look random.
fn draw(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize % below.max(1)
}

/// One of several changes to `bytes`, with pieces of `other`.
fn change(bytes: &mut Vec<u8>, other: &[u8], state: &mut u64) {
    const WORDS: [&str; 24] = [
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        "\"",
        "'",
        "\n",
        ",",
        "#",
        "*",
        "[[",
        "\"\"\"",
        "\\u0000",
        "\u{feff}",
        "-1",
        "1e999",
        "18446744073709551616",
        "matrix.",
        "include = [{}]",
        "extends = \"extends-base.toml\"",
        "remove = [\"stages\"]",
        "nan",
    ];
    let (at, to) = (draw(state, bytes.len() + 1), draw(state, bytes.len() + 1));
    let range = at.min(to)..at.max(to).min(at.min(to) + 200);
    match draw(state, 8) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << draw(state, 8)),
        1 => bytes.insert(at, draw(state, 256) as u8),
        2 => drop(bytes.drain(range)),
        3 => {
            let piece = bytes[range].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        4 => bytes.truncate(at),
        5 => {
            let from = draw(state, other.len());
            let piece = other[from..(from + draw(state, 300)).min(other.len())].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        6 => {
            // A line for another.
            let line = |bytes: &[u8], at: usize| {
                let start = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
                let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length);
                start..end
            };
            let piece = other[line(other, draw(state, other.len()).min(other.len()))].to_vec();
            drop(bytes.splice(line(bytes, at), piece));
        }
        _ => drop(bytes.splice(at..at, WORDS[draw(state, WORDS.len())].bytes())),
    }
}

#[test]
fn no_text_makes_the_front_end_panic_hang_or_eat_memory() {
    // The corpus is not in the published package.
    let mut files: Vec<(std::path::PathBuf, Vec<u8>)> =
        tomls("fuzz/corpus/experiment").into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let mut right = 0;
    for (path, bytes) in &files {
        let accepted = judge(path, bytes);
        let name = path.file_stem().unwrap().to_string_lossy();
        let meant = name.starts_with("valid-") || name.starts_with("extends-base") || name.starts_with("extends-child");
        assert!(!meant || accepted, "{name} is refused");
        right += usize::from(accepted);
    }
    assert!(files.is_empty() || (right >= 12 && right < files.len()), "{right} of {}", files.len());
    for path in tomls("experiments") {
        let bytes = fs::read(&path).unwrap();
        assert!(judge(&path, &bytes));
        files.push((path, bytes));
    }
    let folder = root().join("fuzz/corpus/experiment/changed.toml");
    // Most changes of a wrong file leave it wrong where it was.
    let valid: Vec<_> = files.iter().filter(|(path, bytes)| judge(path, bytes)).cloned().collect();
    let (mut state, mut right) = (1, 0);
    for _ in 0..CHANGES {
        let wrong = draw(&mut state, 3) == 0;
        let from = if wrong || valid.is_empty() { &files } else { &valid };
        let mut bytes = from[draw(&mut state, from.len())].1.clone();
        for _ in 0..=draw(&mut state, 3) {
            let other = &files[draw(&mut state, files.len())].1;
            change(&mut bytes, other, &mut state);
        }
        right += usize::from(judge(&folder, &bytes));
    }
    // Were all refused at the first byte, nothing would be tried.
    assert!(right as u64 > CHANGES / 50, "only {right} of {CHANGES} are right");
}

/// Files that are built to be as slow as they can.
#[test]
fn what_grows_fast_is_bounded() {
    let path = Path::new("large.toml");
    let head = "name = \"a\"\n[stages.m]\nkind = \"synthesize\"\n";
    let numbers = |count: usize| (0..count).map(|n| format!("{}", n + 16)).collect::<Vec<_>>().join(", ");
    // As many members as there may be, right and wrong.
    let square = |extra: &str| format!("{head}matrix.size = [{0}]\nmatrix.train = [{0}]\n{extra}", numbers(100));
    assert!(judge(path, square("").as_bytes()));
    assert!(!judge(path, square("grain = 0\nsise = 1\n").as_bytes()));
    assert!(!judge(path, square("matrix.val = [1, 2]\n").as_bytes()));
    // Members that nothing tells apart.
    let same =
        "{ size = 16, train = 1, val = 1, test = 1, seed = 1, grain = 5, noise = 1, shading = 1, scratches = 1 }, ";
    judge(path, format!("{head}matrix.include = [{}]\n", same.repeat(3000)).as_bytes());
    // Everyone takes everyone.
    let all: String = (0..1000).map(|n| format!("[stages.s{n}]\nkind = \"pretrain\"\npatches = \"*\"\n")).collect();
    judge(path, format!("name = \"a\"\n{all}").as_bytes());
    let ring: String =
        (0..5000).map(|n| format!("[stages.s{n}]\nkind = \"finetune\"\nencoder = \"s{}\"\n", (n + 1) % 5000)).collect();
    judge(path, format!("name = \"a\"\n{ring}").as_bytes());
    // Ten thousand stages, each wrong in its own way.
    let wrong: String =
        (0..10_000).map(|n| format!("[stages.s{n}]\nkind = \"patchfy{n}\"\ndataset = \"s{n}x\"\n")).collect();
    judge(path, format!("name = \"a\"\n{wrong}").as_bytes());
    let missing: String =
        (0..5000).map(|n| format!("[stages.s{n}]\nkind = \"patchify\"\ndataset = \"q{n}\"\n")).collect();
    judge(path, format!("name = \"a\"\n{missing}").as_bytes());
    let broken: String = (0..20_000).map(|n| format!("[stages.s{n}\nkind = \n")).collect();
    judge(path, broken.as_bytes());
    judge(path, ["name = \"a\"\n", &"[stages.m]\nkind = \"synthesize\"\n".repeat(20_000)].concat().as_bytes());
}
