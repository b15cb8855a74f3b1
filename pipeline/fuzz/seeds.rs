//! Writes the seeds of both targets into `corpus/`, out of the corpus of orders that the tests read: each order alone,
//! and orders together as arrays and as lines.

#[expect(dead_code, unused_imports, reason = "only the cases are wanted")]
#[path = "../tests/it/corpus.rs"]
mod corpus;

use std::fs;
use std::io::Result;
use std::path::Path;

/// Longer seeds teach the fuzzer nothing that shorter ones do not, and slow it down.
const LONGEST: usize = 1_000;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let (parse, body) = (root.join("parse"), root.join("body"));
    fs::create_dir_all(&parse)?;
    fs::create_dir_all(&body)?;
    let orders: Vec<Vec<u8>> =
        corpus::cases().into_iter().map(|(_, order)| order).filter(|order| order.len() <= LONGEST).collect();
    for (number, order) in orders.iter().enumerate() {
        fs::write(parse.join(format!("seed-{number:03}")), order)?;
        fs::write(body.join(format!("seed-one-{number:03}")), [b"0", order.as_slice()].concat())?;
    }
    for (number, some) in orders.chunks(3).enumerate() {
        let array = [b"0[", some.join(&b","[..]).as_slice(), b"]"].concat();
        fs::write(body.join(format!("seed-array-{number:03}")), array)?;
        let lines = [b"5", some.join(&b"\n"[..]).as_slice(), b"\n"].concat();
        fs::write(body.join(format!("seed-lines-{number:03}")), lines)?;
    }
    Ok(())
}
