//! What fuzzing found, and what reaches the most code, played again.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Heard, run};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Every script of the corpus, by name.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/kernel");
    let files = std::fs::read_dir(folder).unwrap();
    let read = |file: std::fs::DirEntry| {
        let name = file.file_name().to_string_lossy().into_owned();
        (name, std::fs::read(file.path()).unwrap())
    };
    let mut scripts: Vec<_> = files.map(|file| read(file.unwrap())).collect();
    scripts.sort();
    scripts
}

/// A panic in a connection or a command is caught, but not forgotten here.
#[test]
fn no_script_of_the_corpus_finds_a_fault() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        print(panic);
    }));
    let scripts = corpus();
    assert!(scripts.len() >= 10, "the corpus is not there");
    let mut heard = Heard::new();
    for (name, script) in scripts {
        heard.append(&mut run(&script));
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{name}");
    }
    // It reaches what it is for: every packet that a broker has, and every QoS.
    let all = [
        (2, 0),
        (3, 0),
        (3, 1),
        (3, 2),
        (4, 0),
        (5, 0),
        (6, 0),
        (7, 0),
        (9, 0),
        (11, 0),
        (13, 0),
        (14, 0),
    ];
    assert_eq!(heard, Heard::from(all));
}
