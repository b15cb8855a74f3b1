//! What goes in over HTTP is stored, counted once, and answered truthfully.

use super::http::exchange;
use super::place::Place;
use super::wait::eventually;

over_this_way! {
    orders_of_every_form_are_stored_and_the_books_balance,
    an_order_sent_again_counts_once_also_after_a_restart,
    the_number_of_partitions_cannot_change_under_the_data,
    a_pipeline_that_is_terminated_stores_what_it_has_read_and_the_next_one_the_rest,
}

const ORDER: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;

fn orders_of_every_form_are_stored_and_the_books_balance(place: &Place) {
    let pipeline = place.start(&[]);
    assert_eq!(pipeline.post(ORDER).status, 202);
    let mixed = pipeline.post(&format!("[{ORDER},{{}},{ORDER}]"));
    assert_eq!((mixed.status, &mixed.json()["results"][1]["reason"]), (207, &"missing_field".into()));
    let lines = format!("{ORDER}\n\n{ORDER}\nnonsense\n");
    let reply = pipeline.post_as("application/x-ndjson", lines.as_bytes()).unwrap().json();
    assert_eq!((&reply["accepted"], &reply["rejected"]), (&2.into(), &1.into()));
    let tutorial =
        format!("POST /orderitem HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{ORDER}", ORDER.len());
    let answer = exchange(pipeline.orders, tutorial.as_bytes()).unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == 6.0);
    let total = &place.balanced()["total"];
    assert_eq!((&total["orders"], &total["total_minor"]), (&6.into(), &360_000.into()));
    let id = answer.json()["results"][0]["order_id"].as_str().unwrap().to_owned();
    let found = place.order(&id).expect("the order is in the store");
    for (name, value) in [("order_id", id.as_str()), ("quantity", "2"), ("total_minor", "60000")] {
        assert!(found.contains(&(name.to_owned(), value.to_owned())), "{name} in {found:?}");
    }
    assert_eq!(place.order("another"), None);
    assert_eq!(pipeline.terminate(), Some(0));
}

fn an_order_sent_again_counts_once_also_after_a_restart(place: &Place) {
    let order = r#"{"order_id":"again","customer_id":3,"source":"Dine In","quantity":2}"#;
    for _ in 0..3 {
        let pipeline = place.start(&[]);
        assert_eq!(pipeline.post(order).status, 202);
        assert_eq!(pipeline.post(order).status, 202);
        pipeline.kill();
    }
    let pipeline = place.start(&[]);
    let total = &place.balanced()["total"];
    assert_eq!((&total["log"], &total["orders"], &total["duplicates"]), (&6.into(), &1.into(), &5.into()));
    assert_eq!(pipeline.metric("tillflow_parse_window_ids{partition=\"2\"}").max(1.0), 1.0);
}

fn the_number_of_partitions_cannot_change_under_the_data(place: &Place) {
    place.start(&[]).kill();
    let last = place.way().commands().last().unwrap();
    let output = place.spawn(last, &["log.partitions=7"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains('6') && error.contains('7') && error.contains("partitions"), "{error}");
}

fn a_pipeline_that_is_terminated_stores_what_it_has_read_and_the_next_one_the_rest(place: &Place) {
    // A block would wait for seconds; a stop does not.
    let pipeline = place.start(&["process.block_interval=8s"]);
    for _ in 0..20 {
        assert_eq!(pipeline.post(ORDER).status, 202);
    }
    eventually("all are read", || pipeline.metric("tillflow_consume_records_total") == 20.0);
    for _ in 0..20 {
        assert_eq!(pipeline.post(ORDER).status, 202);
    }
    assert_eq!(pipeline.terminate(), Some(0));
    assert!(place.ledger(&[])["total"]["orders"].as_u64() >= Some(20));
    let next = place.start(&[]);
    assert_eq!(place.balanced()["total"]["orders"], 40);
    assert_eq!(next.terminate(), Some(0));
}
