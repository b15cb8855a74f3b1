//! What do a block's rows cost on their way into the driver's batches? Cut into batches as the orders store does, each row
//! written by the driver's own serialization into one buffer; there is no node and no frame around it.

use anyhow::{Context, Result};
use pipeline::block::Block;
use pipeline::config;
use pipeline::store::cassandra::{batches, buckets};
use scylla::frame::response::result::{ColumnSpec, ColumnType, NativeType, TableSpec};
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use super::{Digest, Orders, Stage};

/// The table, of which a node would tell the driver the columns' types.
const TABLE: &str = include_str!("../../../deploy/schema/cassandra/001_orders.cql");

struct Encode {
    block: Block,
    config: config::Cassandra,
    buckets: u32,
    columns: Vec<ColumnSpec<'static>>,
    buffer: Vec<u8>,
}

pub(super) fn encode(orders: &Orders) -> Result<Box<dyn Stage>> {
    let config = orders.config.cassandra.clone();
    let buckets = buckets(&config, orders.config.log.partitions);
    Ok(Box::new(Encode { block: orders.block()?, config, buckets, columns: columns()?, buffer: Vec::new() }))
}

/// The columns of the table in their order, and the write time that each insert has.
fn columns() -> Result<Vec<ColumnSpec<'static>>> {
    let mut columns = Vec::new();
    for line in TABLE.lines().filter_map(|line| line.strip_prefix("    ")) {
        let Some((name, kind)) = line.trim_end_matches(',').split_once(' ') else { continue };
        let kind = match kind {
            "timestamp" => NativeType::Timestamp,
            "int" => NativeType::Int,
            "bigint" => NativeType::BigInt,
            "text" => NativeType::Text,
            // Comments and the key.
            _ => continue,
        };
        columns.push((name, kind));
    }
    columns.push(("[timestamp]", NativeType::BigInt));
    let spec = |(name, kind)| {
        ColumnSpec::borrowed(name, ColumnType::Native(kind), TableSpec::borrowed("sales", "orders"))
    };
    Ok(columns.into_iter().map(spec).collect())
}

impl Stage for Encode {
    fn run(&mut self) -> Result<()> {
        let Self { block, config, buckets, columns, buffer } = self;
        let context = RowSerializationContext::from_specs(columns);
        buffer.clear();
        for batch in batches(block, *buckets, config) {
            for row in &batch {
                row.serialize(&context, &mut RowWriter::new(buffer)).context("a row cannot be written")?;
            }
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(Digest::default().bytes(&self.buffer).finish())
    }
}
