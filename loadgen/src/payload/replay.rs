//! Orders from a file, in its order and with its bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{Arena, Payload, PayloadError, order_id};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Reads NDJSON, gzip-compressed or not (its first bytes tell), up to `limit` orders (all: `None`) and `max_bytes` of
/// memory ([`DEFAULT_MAX_BYTES`](super::DEFAULT_MAX_BYTES)).
///
/// Every line must begin with `{"order_id":"` and an id that the order contract allows, since orders are followed by
/// it. Beyond that lines are kept as they are, valid or not, and so are repeated ids.
///
/// # Errors
/// [`PayloadError::Read`] where the file cannot be read or decompressed, [`PayloadError::Line`] where a line is empty
/// or has no such id, or the file has no line, [`PayloadError::TooLarge`] where the orders do not fit.
pub fn replay(path: &Path, limit: Option<usize>, max_bytes: usize) -> Result<Payload, PayloadError> {
    let read = |source: io::Error| PayloadError::Read { path: path.to_owned(), source };
    let bad = |line, problem| PayloadError::Line { path: path.to_owned(), line, problem };
    let mut lines = open(path).map_err(read)?;
    let mut arena = Arena::new(max_bytes);
    while limit.is_none_or(|limit| arena.ends.len() < limit) {
        let start = arena.bytes.len();
        // A line may be as long as the memory left and one byte more, which end_order then refuses. So not even a
        // file of one endless line takes more than the limit.
        let room = max_bytes.saturating_sub(arena.size_bytes()).saturating_add(1);
        if (&mut lines).take(room as u64).read_until(b'\n', &mut arena.bytes).map_err(read)? == 0 {
            break;
        }
        let ended = arena.bytes.pop_if(|last| *last == b'\n').is_some();
        if !ended && arena.bytes.len() - start == room {
            return Err(arena.too_large(arena.ends.len()));
        }
        let number = arena.ends.len() + 1;
        let line = arena.bytes.get(start..).unwrap_or_default();
        if line.trim_ascii().is_empty() {
            return Err(bad(number, "it is empty"));
        }
        if order_id(line).is_none() {
            return Err(bad(
                number,
                r#"it does not begin with {"order_id":" and an id of 1 to 64 visible ASCII characters"#,
            ));
        }
        arena.end_order()?;
    }
    if arena.ends.is_empty() && limit != Some(0) {
        return Err(bad(1, "the file holds no order"));
    }
    Ok(arena.finish())
}

/// Puts the orders of a file in the order of their `created_at`, those of the same instant as they were, and returns
/// the instants in Unix nanoseconds: what a replay with the original gaps needs.
///
/// # Errors
/// [`PayloadError::Line`] for an order without a `created_at` in RFC 3339, [`PayloadError::TooLarge`] where the orders
/// do not fit once more.
pub fn created_at_ns(payload: &Payload, path: &Path) -> Result<(Payload, Vec<i128>), PayloadError> {
    #[derive(serde::Deserialize)]
    struct Created<'a> {
        #[serde(borrow)]
        created_at: std::borrow::Cow<'a, str>,
    }
    let mut instants = Vec::with_capacity(payload.len());
    for index in 0..payload.len() {
        let order = payload.order(index).unwrap_or_default();
        let created = serde_json::from_slice::<Created>(&order).ok();
        let instant = created.and_then(|created| pipeline::time::parse(&created.created_at));
        let instant = instant.ok_or_else(|| PayloadError::Line {
            path: path.to_owned(),
            line: index + 1,
            problem: "it has no created_at in RFC 3339, which a replay of the gaps needs",
        })?;
        instants.push((i128::from(instant), index));
    }
    instants.sort();
    let mut arena = Arena::new(super::DEFAULT_MAX_BYTES);
    for (_, index) in &instants {
        arena.bytes.extend_from_slice(&payload.order(*index).unwrap_or_default());
        arena.end_order()?;
    }
    Ok((arena.finish(), instants.into_iter().map(|(instant, _)| instant).collect()))
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    if file.fill_buf()?.starts_with(GZIP_MAGIC) {
        Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file))))
    } else {
        Ok(Box::new(file))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::payload::DEFAULT_MAX_BYTES;

    const ORDERS: &str =
        "{\"order_id\":\"a-1\",\"total\":0.50}\n{\"order_id\":\"a-2\"}\n{\"order_id\":\"a-3\"}\n";

    fn replay_text(text: &str, limit: Option<usize>, max_bytes: usize) -> Result<Payload, PayloadError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        replay(file.path(), limit, max_bytes)
    }

    fn line_error(text: &str) -> String {
        let error = replay_text(text, None, DEFAULT_MAX_BYTES).unwrap_err();
        assert!(matches!(error, PayloadError::Line { .. }), "{error}");
        let text = error.to_string();
        text.split_once(": ").unwrap().1.to_owned()
    }

    #[test]
    fn a_compressed_file_is_the_same_payload_as_the_plain_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut packed = GzEncoder::new(file.reopen().unwrap(), Compression::default());
        packed.write_all(ORDERS.as_bytes()).unwrap();
        packed.finish().unwrap();
        let from_gzip = replay(file.path(), None, DEFAULT_MAX_BYTES).unwrap();
        let from_plain = replay_text(ORDERS, None, DEFAULT_MAX_BYTES).unwrap();
        assert_eq!(from_gzip.batch(0, 3).unwrap(), ORDERS.trim_end());
        assert_eq!(from_gzip.order_id(1), Some("a-2"));
        assert_eq!(from_gzip.fingerprint(), from_plain.fingerprint());
    }

    #[test]
    fn a_file_that_breaks_off_inside_its_compression_is_an_error() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(ORDERS.as_bytes()).unwrap();
        let bytes = packed.finish().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes[..bytes.len() - 6]).unwrap();
        assert!(matches!(replay(file.path(), None, DEFAULT_MAX_BYTES), Err(PayloadError::Read { .. })));
    }

    #[test]
    fn orders_are_put_in_the_order_in_which_they_were_created() {
        let line = |id, at| format!("{{\"order_id\":\"{id}\",\"created_at\":\"{at}\"}}\n");
        let text = line("b", "2020-01-01T00:00:02Z") + &line("a", "2020-01-01T00:00:00.5+00:00");
        let payload = replay_text(&text, None, DEFAULT_MAX_BYTES).unwrap();
        let (sorted, instants) = created_at_ns(&payload, Path::new("orders")).unwrap();
        assert_eq!((sorted.order_id(0), sorted.order_id(1)), (Some("a"), Some("b")));
        assert_eq!(instants[1] - instants[0], 1_500_000_000);
        let without = replay_text(ORDERS, None, DEFAULT_MAX_BYTES).unwrap();
        assert!(created_at_ns(&without, Path::new("orders")).is_err());
    }

    #[test]
    fn a_limit_takes_the_first_orders_and_does_not_look_at_the_rest() {
        let text = format!("{ORDERS}not an order\n");
        assert_eq!(replay_text(&text, Some(2), DEFAULT_MAX_BYTES).unwrap().len(), 2);
        assert_eq!(replay_text(ORDERS, Some(9), DEFAULT_MAX_BYTES).unwrap().len(), 3);
        assert_eq!(replay_text(ORDERS, Some(0), DEFAULT_MAX_BYTES).unwrap().len(), 0);
    }

    #[test]
    fn a_last_line_without_newline_is_an_order() {
        let payload = replay_text(ORDERS.trim_end(), None, DEFAULT_MAX_BYTES).unwrap();
        assert_eq!(payload.order(2).unwrap(), r#"{"order_id":"a-3"}"#);
        assert_eq!(payload.size_bytes(), ORDERS.len());
    }

    #[test]
    fn what_is_no_order_is_named_by_its_line() {
        assert!(line_error(&format!("{ORDERS}{{\"id\":1}}\n")).starts_with("line 4: it does not begin with"));
        assert_eq!(line_error(&format!("{ORDERS}\n{ORDERS}")), "line 4: it is empty");
        assert_eq!(line_error(""), "line 1: the file holds no order");
    }

    #[test]
    fn orders_beyond_the_memory_limit_are_refused() {
        let limit = ORDERS.len() + 3 * size_of::<usize>();
        assert_eq!(replay_text(ORDERS, None, limit).unwrap().len(), 3);
        for (max_bytes, first_refused) in [(limit - 1, 2), (40, 1), (10, 0), (0, 0)] {
            let error = replay_text(ORDERS, None, max_bytes).unwrap_err();
            assert!(
                matches!(error, PayloadError::TooLarge { order, .. } if order == first_refused),
                "{error}"
            );
        }
    }
}
