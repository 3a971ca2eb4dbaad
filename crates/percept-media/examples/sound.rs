//! Decodes sound files as percept does and says what it found:
//! `cargo run --release -p percept-media --example sound -- FILE... [> all.f32]`
//!
//! With standard output redirected, the samples go there as raw little-endian f32.
#![allow(clippy::print_stderr)]

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use percept_media::sound::{SoundSource, read};

fn main() {
    for argument in std::env::args().skip(1) {
        let start = Instant::now();
        match read(SoundSource::from_argument(Path::new(&argument))) {
            Ok((sound, info)) => {
                let milliseconds = start.elapsed().as_secs_f64() * 1e3;
                eprintln!("{argument}: {:.3} s in {milliseconds:.1} ms\n{info:#?}", sound.seconds());
                let mut output = std::io::stdout().lock();
                for block in sound.samples.chunks(1 << 14).filter(|_| !std::io::stdout().is_terminal()) {
                    let bytes: Vec<u8> = block.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                    output.write_all(&bytes).expect("standard output can be written to");
                }
            }
            Err(error) => eprintln!("{}\nhint: {}", error.chain(), error.hint().unwrap_or_default()),
        }
    }
}
