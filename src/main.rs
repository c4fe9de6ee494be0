//! The program: everything is in the library, so that tests and benches can reach it.

fn main() -> std::process::ExitCode {
    matssl_run::cli::main().into()
}
