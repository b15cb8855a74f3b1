//! Orders that are sent again: over other connections, to other ingests, over restarts, alone and in lists.

use super::http::{Reply, exchange};
use super::place::{Place, id_of};
use super::running::Running;
use pipeline::outcomes::{Outcome, OutcomeWriter};

over_this_way! {
    an_order_sent_five_times_over_restarts_counts_once,
    a_list_sent_again_under_its_key_counts_once,
    a_repeat_beyond_the_window_counts_once_more_and_is_counted_as_that,
}

const ORDER: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;

/// Posts a body under a key, over a connection of its own.
fn post_under(pipeline: &Running, key: &str, media: &str, body: &str) -> Reply {
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: {media}\r\nidempotency-key: {key}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(pipeline.orders, head.as_bytes()).expect("the pipeline answers")
}

fn an_order_sent_five_times_over_restarts_counts_once(place: &Place) {
    for times in [2, 1, 2] {
        // Every process is another one than before, where they are several.
        let pipeline = place.start(&[]);
        for _ in 0..times {
            assert_eq!(post_under(&pipeline, "five", "application/json", ORDER).status, 202);
        }
        pipeline.kill();
    }
    let pipeline = place.start(&[]);
    let total = &place.balanced()["total"];
    assert_eq!((&total["log"], &total["orders"], &total["duplicates"]), (&5.into(), &1.into(), &4.into()));
    assert_eq!(place.way().stored(), [("five".to_owned(), (2, 60_000))].into());
    assert_eq!(pipeline.terminate(), Some(0));
}

fn a_list_sent_again_under_its_key_counts_once(place: &Place) {
    let (array, lines) = (format!("[{ORDER},{ORDER},{ORDER}]"), format!("{ORDER}\n{ORDER}\n{ORDER}\n"));
    for _ in 0..2 {
        let pipeline = place.start(&[]);
        for (key, media, body) in [
            ("a-list", "application/json", &array),
            ("lines", "application/x-ndjson", &lines),
            ("lines", "application/x-ndjson", &lines),
        ] {
            let reply = post_under(&pipeline, key, media, body);
            assert_eq!((reply.status, &reply.json()["accepted"]), (202, &3.into()));
        }
        pipeline.kill();
    }
    let pipeline = place.start(&[]);
    let total = &place.balanced()["total"];
    assert_eq!((&total["log"], &total["orders"], &total["duplicates"]), (&18.into(), &6.into(), &12.into()));
    let ids: Vec<_> = place.way().stored().into_keys().collect();
    assert_eq!(ids, ["a-list-0", "a-list-1", "a-list-2", "lines-0", "lines-1", "lines-2"]);
    assert_eq!(pipeline.terminate(), Some(0));
}

fn a_repeat_beyond_the_window_counts_once_more_and_is_counted_as_that(place: &Place) {
    let pipeline = place.start(&["process.window=2"]);
    let id = |name| id_of(4, name);
    for name in ["a", "b", "a", "c", "d", "a"] {
        assert_eq!(post_under(&pipeline, &id(name), "application/json", ORDER).status, 202);
    }
    let path = place.folder().join("outcomes.zst");
    let mut writer = OutcomeWriter::create(&path).unwrap();
    for name in ["a", "b", "c", "d"] {
        writer.write(&id(name), Outcome::Accepted).unwrap();
    }
    writer.finish().unwrap();
    let arguments = ["--set", "process.window=2", "--outcomes", path.to_str().unwrap()];
    super::wait::eventually("all is stored", || place.ledger(&arguments)["total"]["pending"] == 0);
    let ledger = place.ledger(&arguments);
    let total = &ledger["total"];
    assert_eq!((&total["orders"], &total["duplicates"]), (&5.into(), &1.into()), "{ledger:#}");
    assert_eq!(ledger["ids"]["beyond_window"], 1, "{ledger:#}");
    assert_eq!(total["stored_orders"], 4, "the orders store goes by the id");
    assert_eq!((&total["beyond_window"], &ledger["balanced"]), (&1.into(), &true.into()), "{ledger:#}");
    // So it is without the ids, and from a checkpoint on.
    for more in [[].as_slice(), &["--checkpoint"], &[]] {
        let ledger = place.ledger(&[&["--set", "process.window=2"], more].concat());
        assert_eq!(ledger["total"]["beyond_window"], 1, "{ledger:#}");
        assert_eq!(ledger["balanced"], true, "{ledger:#}");
    }
    assert_eq!(pipeline.terminate(), Some(0));
}
