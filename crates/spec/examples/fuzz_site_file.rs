//! A target for fuzzers that feed a program through standard input (AFL++, honggfuzz), or for a folder of odd files:
//!
//! ```text
//! cargo build --release -p openg2p-spec --example fuzz_site_file
//! afl-fuzz -i crates/spec/tests/good -o /tmp/findings target/release/examples/fuzz_site_file
//! ```
//!
//! Whatever is read, the answer is a site or a list of mistakes, each within the file; anything else ends with a panic.

use std::io::Read as _;

use openg2p_spec::{KnownComponents, Profiles};

fn main() {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .take(openg2p_spec::LARGEST_FILE as u64 + 1)
        .read_to_end(&mut bytes);
    let (Ok(_), Ok(text)) = (read, String::from_utf8(bytes)) else {
        return;
    };
    let Ok(profiles) = Profiles::embedded() else {
        panic!("the embedded profiles are broken")
    };
    if let Err(problems) = openg2p_spec::load("site.yaml", &text, &KnownComponents::default(), &profiles) {
        assert!(problems.error_count() > 0);
        for item in problems.items() {
            assert!(item.span.bytes.end <= text.len(), "{item:?}");
        }
        assert!(!problems.render(false, 100).contains('\u{1b}'));
    }
}
