//! What does a request cost from its bytes to the bytes of its answer? A connection in memory: hyper, admission, body,
//! frame, validate, a void log and the reply are all there; sockets are not.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use pipeline::receive::requests;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::{Digest, ORDERS, Orders, Stage};
use crate::floors::receive::void_ingest;

/// Room in the connection, in bytes: for any request and any answer.
const ROOM: usize = 1 << 20;
/// Orders of a request in batches.
const BATCH: usize = 100;

struct Receive {
    runtime: Runtime,
    connection: DuplexStream,
    _stop: watch::Sender<bool>,
    requests: Vec<Request>,
    answers: Vec<u8>,
}

/// A request, and how long its answer is known to be, of which so many bytes are the head, which holds the time.
struct Request {
    bytes: Vec<u8>,
    head: usize,
    answer: usize,
}

pub(super) fn single(orders: &Orders) -> Result<Box<dyn Stage>> {
    let bodies = orders.values().into_iter().map(|body| request("content-type: application/json\r\n", &body));
    open(bodies.collect())
}

pub(super) fn ndjson(orders: &Orders) -> Result<Box<dyn Stage>> {
    let bodies = batches(orders).map(|body| request("content-type: application/x-ndjson\r\n", &body));
    open(bodies.collect())
}

pub(super) fn gzip(orders: &Orders) -> Result<Box<dyn Stage>> {
    let headers = "content-type: application/x-ndjson\r\ncontent-encoding: gzip\r\n";
    let compressed = batches(orders).map(|body| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&body)?;
        Ok(request(headers, &encoder.finish()?))
    });
    open(compressed.collect::<std::io::Result<_>>()?)
}

fn batches(orders: &Orders) -> impl Iterator<Item = Bytes> {
    (0..ORDERS / BATCH).filter_map(|number| orders.dated.batch(number * BATCH, BATCH))
}

fn request(headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST /v1/orders HTTP/1.1\r\nhost: stage\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Opens a connection and sends each request once, to know how long its answer is.
fn open(requests_bytes: Vec<Vec<u8>>) -> Result<Box<dyn Stage>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut connection, server) = tokio::io::duplex(ROOM);
    let (stop, stopped) = watch::channel(false);
    let ingest = Arc::new(void_ingest()?);
    runtime.spawn(async move { requests(server, &ingest, stopped).await });
    let mut learnt = Vec::with_capacity(requests_bytes.len());
    for bytes in requests_bytes {
        learnt.push(runtime.block_on(learn(&mut connection, bytes))?);
    }
    let answers = vec![0; learnt.iter().map(|request| request.answer).sum()];
    Ok(Box::new(Receive { runtime, connection, _stop: stop, requests: learnt, answers }))
}

async fn learn(connection: &mut DuplexStream, bytes: Vec<u8>) -> Result<Request> {
    connection.write_all(&bytes).await?;
    let mut answer = Vec::new();
    let ends = |answer: &[u8]| answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    let head = loop {
        connection.read_buf(&mut answer).await?;
        if let Some(head) = ends(&answer) {
            break head;
        }
    };
    let text = std::str::from_utf8(answer.get(..head).unwrap_or_default())?.to_ascii_lowercase();
    anyhow::ensure!(text.starts_with("http/1.1 202 "), "an order is not accepted: {text}");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = head + length.context("an answer says no length")?.parse::<usize>()?;
    let read = answer.len();
    answer.resize(length, 0);
    connection.read_exact(answer.get_mut(read..).unwrap_or_default()).await?;
    Ok(Request { bytes, head, answer: length })
}

impl Stage for Receive {
    fn run(&mut self) -> Result<()> {
        let Self { runtime, connection, requests, answers, .. } = self;
        runtime.block_on(async {
            let mut rest = answers.as_mut_slice();
            for request in requests {
                connection.write_all(&request.bytes).await?;
                let (answer, behind) = rest.split_at_mut(request.answer);
                connection.read_exact(answer).await?;
                rest = behind;
            }
            Ok(())
        })
    }

    fn digest(&mut self) -> Result<u64> {
        let (mut digest, mut rest) = (Digest::default(), self.answers.as_slice());
        for request in &self.requests {
            let (answer, behind) = rest.split_at(request.answer);
            anyhow::ensure!(answer.starts_with(b"HTTP/1.1 202 "), "an order was not accepted");
            digest.bytes(answer.get(request.head..).unwrap_or_default());
            rest = behind;
        }
        Ok(digest.finish())
    }
}
