//! The customers dimension while the pipeline runs: a changed file counts without a restart, a broken one does not.

use super::place::Place;
use super::wait::eventually;
use std::collections::BTreeMap;
use std::path::Path;

over_this_way! {
    a_changed_customers_file_counts_from_then_on_and_a_broken_one_changes_nothing,
}

/// Puts the file in place as an operator should: whole.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Orders by state.
fn states(place: &Place) -> BTreeMap<String, u64> {
    place.sales().into_iter().map(|(key, sums)| (key.state, sums.orders)).collect()
}

fn a_changed_customers_file_counts_from_then_on_and_a_broken_one_changes_nothing(place: &Place) {
    let file = place.folder().join("customers.csv");
    replace(&file, "customer_id,state\n1,CA\n");
    let setting = format!("order.customers={}", file.display());
    let pipeline = place.start(&[&setting, "order.customers_reload=20ms"]);
    let mut orders = 0.0;
    let mut post = |customer: u64| {
        let order = format!(r#"{{"customer_id":{customer},"source":"Online","quantity":1}}"#);
        assert_eq!(pipeline.post(&order).status, 202);
        orders += 1.0;
        eventually("the order is stored", || pipeline.metric("tillflow_store_orders_total") == orders);
    };
    post(1);
    post(2);
    assert_eq!(states(place), [("CA".into(), 1), ("unknown".into(), 1)].into());
    assert_eq!(pipeline.metric("tillflow_enrich_unknown_states_total"), 1.0);

    replace(&file, "customer_id,state\n1,OR\n2,WA\n");
    eventually("the file is read again", || pipeline.metric("tillflow_enrich_reloads_total") == 1.0);
    assert_eq!(pipeline.metric("tillflow_enrich_customers"), 2.0);
    // The partition was idle meanwhile; its next block takes the dimension as it is when the block's first record comes.
    post(2);
    assert_eq!(states(place)["WA"], 1);

    replace(&file, "customer_id,state\n1,OR\n1,WA\n");
    eventually("the error is counted", || pipeline.metric("tillflow_enrich_reload_errors_total") == 1.0);
    assert_eq!(pipeline.metric("tillflow_enrich_customers"), 2.0);
    post(2);
    assert_eq!(states(place)["WA"], 2, "the last good dimension is still in force");
    place.balanced();
}
