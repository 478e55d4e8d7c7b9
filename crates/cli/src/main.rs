//! The openg2p command: a thin shell around the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    openg2p::main(std::env::args_os(), &openg2p::output::Environment::of_process()).into()
}
