//! What this machine could do: float32 operations and bytes a second, the matrix product at the layers' sizes, and the
//! time that operations and bytes of each workload would take at those rates.
//!
//! Rates are per second of the threads' processor time, so other work on the machine disturbs them little.

use crate::{shapes, workloads};
use anyhow::Result;
use std::hint::black_box;
use std::sync::{Barrier, Mutex};

/// Prints all of it as Markdown.
///
/// # Errors
/// None but mistakes in the list of workloads.
pub(crate) fn print(threads: usize) -> Result<()> {
    let counts = if threads > 1 { vec![1, threads] } else { vec![1] };
    println!("| measured | {} |", counts.iter().map(|n| format!("{n} thread(s)")).collect::<Vec<_>>().join(" | "));
    println!("| --- |{}", " ---: |".repeat(counts.len()));
    let line = |name: &str, unit: &str, measure: fn(usize) -> f64| -> [f64; 2] {
        let values: Vec<f64> = counts.iter().map(|&threads| measure(threads)).collect();
        let cells: Vec<String> = values.iter().map(|value| format!("{:.1} {unit}", value / 1e9)).collect();
        println!("| {name} | {} |", cells.join(" | "));
        [values[0], values[values.len() - 1]]
    };
    let peak = line(&format!("float32 multiply-add, {}", fma::name()), "GFLOP/s", fma::peak);
    let copied = line("copying 512 MiB (read + written)", "GB/s", copy);
    let read = line("reading 512 MiB", "GB/s", read);
    println!();
    steps(threads, peak[1], copied[1].max(read[1]))?;
    println!();
    products(threads, peak);
    Ok(())
}

fn steps(threads: usize, peak: f64, bandwidth: f64) -> Result<()> {
    println!(
        "On {threads} thread(s); operations are those of direct convolution, bytes those of unfused operations.\n"
    );
    println!("| work | GFLOP | GB | operations ÷ peak | bytes ÷ bandwidth | the longer |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for workload in workloads::steps()? {
        let cost = shapes::step(&workload.spec)?;
        let (compute, memory) = (cost.operations / peak, cost.bytes / bandwidth);
        let (operations, bytes) = (cost.operations / 1e9, cost.bytes / 1e9);
        let longer = compute.max(memory);
        println!(
            "| {} | {operations:.1} | {bytes:.2} | {compute:.3} s | {memory:.3} s | {longer:.3} s |",
            workload.name
        );
    }
    Ok(())
}

/// The matrix products of each layer (im2col's for kernels above 1×1), by the gemm crate, at most 2¹⁴ rows of pixels.
fn products(threads: usize, peak: [f64; 2]) {
    println!(
        "The gemm crate at the layers' sizes (pixels capped at 2¹⁴), a product a thread, GFLOP/s and share of the peak:\n"
    );
    println!(
        "| layer | pixels × inner × out | 1 thread, y = x·w | dx = dy·wᵀ | dw = xᵀ·dy | {threads} thread(s), y = x·w |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    // Of the layers, the distinct matrix products.
    let mut seen = Vec::new();
    for (_, batch, conv) in workloads::layers() {
        let [from, out] = conv.channels;
        let (pixels, inner) = ((batch * conv.size_out().pow(2)).min(1 << 14), conv.kernel.pow(2) * from);
        if seen.contains(&(pixels, inner, out)) {
            continue;
        }
        seen.push((pixels, inner, out));
        let (x, w, y) = (vec![0.5; pixels * inner], vec![0.5; inner * out], vec![0.5; pixels * out]);
        let alone = [
            product(1, [pixels, out, inner], (&x, inner, 1), (&w, out, 1)),
            product(1, [pixels, inner, out], (&y, out, 1), (&w, 1, out)),
            product(1, [inner, out, pixels], (&x, 1, inner), (&y, out, 1)),
        ];
        let all = product(threads, [pixels, out, inner], (&x, inner, 1), (&w, out, 1));
        let share = |rate: f64, of: f64| format!("{:.0} ({:.0} %)", rate / 1e9, 100.0 * rate / of);
        let alone = alone.map(|rate| share(rate, peak[0])).join(" | ");
        println!("| {conv} | {pixels} × {inner} × {out} | {alone} | {} |", share(all, peak[1]));
    }
}

/// A matrix, its row stride and its column stride.
type Strided<'m> = (&'m [f32], usize, usize);

/// Operations a second of `[rows, inner] · [inner, columns]`, of as many of them at once as there are threads, each on one.
fn product(threads: usize, [rows, columns, inner]: [usize; 3], a: Strided<'_>, b: Strided<'_>) -> f64 {
    let reaches = |rows: usize, columns: usize, m: &Strided<'_>| (rows - 1) * m.1 + (columns - 1) * m.2 < m.0.len();
    assert!(reaches(rows, inner, &a) && reaches(inner, columns, &b), "matrices out of bounds");
    let operations = 2.0 * (rows * columns) as f64 * inner as f64;
    // About a tenth of a second a try.
    let calls = (1e10 / operations).ceil().min(100.0);
    let results: Vec<Mutex<Vec<f32>>> = (0..threads).map(|_| vec![0f32; rows * columns].into()).collect();
    together(threads, 3, |thread| {
        let Ok(mut c) = results[thread].lock() else { return 0.0 };
        for _ in 0..calls as usize {
            // SAFETY: the strides reach no element outside `a` and `b` (asserted), `c` holds rows · columns elements, and
            // no two of them overlap.
            unsafe {
                gemm::gemm(
                    rows,
                    columns,
                    inner,
                    c.as_mut_ptr(),
                    1,
                    columns as isize,
                    false,
                    a.0.as_ptr(),
                    a.2 as isize,
                    a.1 as isize,
                    b.0.as_ptr(),
                    b.2 as isize,
                    b.1 as isize,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
        black_box(&mut *c);
        calls * operations
    })
}

/// Processor time that this thread has used: what the machine's other work takes away does not count.
fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `time` and nothing else.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// What `each` does a second of processor time, summed over `threads` threads that start together; the best of `tries`,
/// for a peak is asked for. `each` is given the thread's number and returns how much it did.
fn together(threads: usize, tries: usize, each: impl Fn(usize) -> f64 + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let run = |thread: usize| {
        let once = |_| {
            barrier.wait();
            let start = thread_seconds();
            each(thread) / (thread_seconds() - start)
        };
        (0..tries).map(once).collect::<Vec<f64>>()
    };
    let run = &run;
    let rates: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    (0..tries).map(|i| rates.iter().map(|rates| rates[i]).sum()).fold(0.0, f64::max)
}

const FLOATS: usize = (512 << 20) / 4;

fn copy(threads: usize) -> f64 {
    let (from, to) = (vec![1f32; FLOATS], vec![2f32; FLOATS]);
    let share = FLOATS / threads;
    let to: Vec<Mutex<Vec<f32>>> = to.chunks(share).map(|part| part.to_vec().into()).collect();
    together(threads, 7, |thread| {
        let from = &from[thread * share..(thread + 1) * share];
        let Ok(mut to) = to[thread].lock() else { return 0.0 };
        to.copy_from_slice(black_box(from));
        black_box(&mut *to);
        8.0 * share as f64
    })
}

fn read(threads: usize) -> f64 {
    let from = vec![1f32; FLOATS];
    let share = FLOATS / threads;
    together(threads, 7, |thread| {
        let from = black_box(&from[thread * share..(thread + 1) * share]);
        // Sixty-four sums side by side, or the additions would be what is measured.
        let mut sums = [0u32; 64];
        for part in from.chunks_exact(64) {
            sums.iter_mut().zip(part).for_each(|(sum, value)| *sum ^= value.to_bits());
        }
        black_box(sums);
        4.0 * share as f64
    })
}

/// The peak of multiply-add: sixteen independent chains in registers, in assembly, so that nothing is spilled or folded.
#[cfg(target_arch = "x86_64")]
mod fma {
    use super::together;
    use std::arch::asm;
    use std::sync::atomic::{AtomicU64, Ordering};

    const ROUNDS: u64 = 20_000_000;

    fn has_avx512() -> bool {
        std::arch::is_x86_feature_detected!("avx512f")
    }

    fn has_fma() -> bool {
        std::arch::is_x86_feature_detected!("fma")
    }

    /// The instructions that are used.
    pub(super) fn name() -> &'static str {
        match (has_avx512(), has_fma()) {
            (true, _) => "AVX-512",
            (_, true) => "AVX2",
            _ => "no FMA here",
        }
    }

    /// Operations a second.
    pub(super) fn peak(threads: usize) -> f64 {
        // Wider is not always faster, so the better of what there is counts.
        let wide = if has_avx512() { together(threads, 7, |_| avx512(ROUNDS)) } else { f64::NAN };
        let narrow = if has_fma() { together(threads, 7, |_| avx2(ROUNDS)) } else { f64::NAN };
        wide.max(narrow)
    }

    macro_rules! chains {
        ($name:ident, $register:literal, $lanes:literal, $zero:literal) => {
            fn $name(rounds: u64) -> f64 {
                // Read back, so that the loop count is not known beforehand.
                let counter = AtomicU64::new(rounds);
                let rounds = counter.load(Ordering::Relaxed);
                // SAFETY: the caller has detected the instructions; only the registers named are changed, and no memory.
                unsafe {
                    asm!(
                        $zero,
                        "2:",
                        concat!("vfmadd231ps ", $register, "0, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "1, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "2, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "3, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "4, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "5, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "6, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "7, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "8, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "9, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "10, ", $register, "14, ", $register, "15"),
                        concat!("vfmadd231ps ", $register, "11, ", $register, "14, ", $register, "15"),
                        "dec {rounds}",
                        "jnz 2b",
                        rounds = inout(reg) rounds => _,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                        out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                        out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                        options(nomem, nostack),
                    );
                }
                // Twelve chains, a multiplication and an addition a lane.
                (ROUNDS * 12 * 2 * $lanes) as f64
            }
        };
    }

    // Zeros stay zeros: no denormals, no overflow, the same speed. `vzeroall` clears registers 0 to 15.
    chains!(avx512, "zmm", 16, "vzeroall");
    chains!(avx2, "ymm", 8, "vzeroall");
}

#[cfg(not(target_arch = "x86_64"))]
mod fma {
    /// Nothing is known of other machines yet.
    pub(super) fn name() -> &'static str {
        "not measured on this architecture"
    }

    /// Not a number.
    pub(super) fn peak(_threads: usize) -> f64 {
        f64::NAN
    }
}
