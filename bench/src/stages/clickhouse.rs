//! What does a block's insert cost the client? The rollups store sends it, as in production, to a void ClickHouse on a
//! thread of its own, which tells the table's columns and takes every insert.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pipeline::block::Block;
use pipeline::observe::metrics::Metrics;
use pipeline::observe::stores::Store;
use pipeline::store::clickhouse::ClickHouseRollups;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{Digest, Orders, Stage};

/// The table whose columns the void server tells.
const TABLE: &str = include_str!("../../../deploy/schema/clickhouse/001_sales.sql");
/// What a server says of each column.
const DESCRIBED: [&str; 7] =
    ["name", "type", "default_type", "default_expression", "comment", "codec_expression", "ttl_expression"];

type Taken = Arc<Mutex<Bytes>>;

struct Insert {
    runtime: Runtime,
    rollups: ClickHouseRollups,
    block: Block,
    taken: Taken,
}

pub(super) fn insert(orders: &Orders) -> Result<Box<dyn Stage>> {
    let taken = Taken::default();
    let mut config = orders.config.clickhouse.clone();
    config.url = format!("http://{}", serve(Arc::clone(&taken))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rollups = ClickHouseRollups::new(&config, Metrics::default().stores.of(Store::Rollups));
    Ok(Box::new(Insert { runtime, rollups, block: orders.block()?, taken }))
}

impl Stage for Insert {
    fn run(&mut self) -> Result<()> {
        Ok(self.runtime.block_on(self.rollups.insert(&self.block, 0))?)
    }

    fn digest(&mut self) -> Result<u64> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // The last row ends in the time of its insert, and the rules.
        let end = 8 + 1 + self.block.row.rules.len();
        let same = taken.len().checked_sub(end).and_then(|length| taken.get(..length));
        let same = same.context("the insert is too short")?;
        ensure!(taken.ends_with(self.block.row.rules.as_bytes()), "the insert does not end in its block");
        Ok(Digest::default().bytes(same).finish())
    }
}

/// Starts the void server, which ends with the process, and returns its address.
fn serve(taken: Taken) -> Result<std::net::SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let described: Bytes = describe()?.into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("void".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let (taken, described) = (Arc::clone(&taken), described.clone());
                let service =
                    service_fn(move |request| answer(request, Arc::clone(&taken), described.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
    })?;
    Ok(address)
}

/// Tells the columns to whoever asks anything, and keeps what is inserted.
async fn answer(
    request: Request<Incoming>,
    taken: Taken,
    described: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let inserts = request.uri().query().is_some_and(|query| query.contains("INSERT"));
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Response::new(Full::new(if inserts {
        *taken.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Bytes::new()
    } else {
        described
    })))
}

/// The table's description in the format RowBinaryWithNamesAndTypes.
fn describe() -> Result<Vec<u8>> {
    let mut out = vec![u8::try_from(DESCRIBED.len())?];
    let mut text = |text: &str| -> Result<()> {
        // A length below 128 is one byte.
        out.push(u8::try_from(text.len()).ok().filter(|length| *length < 128).context("a text is too long")?);
        out.extend_from_slice(text.as_bytes());
        Ok(())
    };
    DESCRIBED.iter().try_for_each(|name| text(name))?;
    DESCRIBED.iter().try_for_each(|_| text("String"))?;
    let columns = TABLE.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(' '));
    for (name, kind) in columns {
        text(name)?;
        text(kind.trim_end_matches(','))?;
        DESCRIBED.iter().skip(2).try_for_each(|_| text(""))?;
    }
    Ok(out)
}
