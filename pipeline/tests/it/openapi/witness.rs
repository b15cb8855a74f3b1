//! The witness: it sends requests exactly as it is told, has each answer judged by the document, and keeps what was seen.

use super::document::Document;
use crate::support::{Reply, exchange};
use pipeline::outcomes::Outcome;
use pipeline::receive::{Refusal, document as served};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

pub const JSON: (&str, &str) = ("content-type", "application/json");
pub const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// What has been answered.
pub struct Witness {
    pub document: Document,
    /// As `method path status`.
    pub answers: BTreeSet<String>,
    /// The tags of refusals, and the reasons of results.
    pub words: BTreeSet<String>,
    /// Orders by outcome, as the replies say.
    pub outcomes: BTreeMap<&'static str, u64>,
}

impl Witness {
    pub fn new() -> Self {
        let (answers, words) = (BTreeSet::new(), BTreeSet::new());
        Self { document: Document::read(served()), answers, words, outcomes: BTreeMap::new() }
    }

    /// Has an answer judged, and asserts its status and, where it is one, its refusal.
    pub fn note(&mut self, method: &str, target: &str, reply: &Reply, status: u16, refusal: Option<Refusal>) {
        let path = target.split('?').next().unwrap();
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        self.answers.extend(self.document.judge(method, path, reply));
        if reply.body.is_empty() || reply.status == 200 {
            return;
        }
        let body = reply.json();
        assert_eq!(body.get("reason").and_then(Value::as_str), refusal.map(Refusal::tag), "{reply:?}");
        if let Some(refusal) = refusal {
            assert_eq!((refusal.status().as_u16(), &body["retry"]), (status, &refusal.retry().into()));
        }
        self.words.extend(body["reason"].as_str().map(str::to_owned));
        for result in body["results"].as_array().unwrap() {
            self.words.extend(result["reason"].as_str().map(str::to_owned));
        }
        for outcome in Outcome::ALL.map(Outcome::tag) {
            *self.outcomes.entry(outcome).or_default() += body[outcome].as_u64().unwrap();
        }
    }

    /// Sends a request and notes its answer.
    pub fn ask(
        &mut self,
        at: SocketAddr,
        request: &Request<'_>,
        status: u16,
        refusal: Option<Refusal>,
    ) -> Reply {
        let reply = exchange(at, &request.bytes()).unwrap_or_else(|| panic!("no answer to {request:?}"));
        self.note(request.method, request.target, &reply, status, refusal);
        reply
    }
}

/// A request. It has a content length if it has a body and names neither one nor another framing.
#[derive(Debug)]
pub struct Request<'r> {
    method: &'r str,
    target: &'r str,
    headers: &'r [(&'r str, &'r str)],
    body: &'r [u8],
}

impl Request<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n", self.method, self.target);
        for (name, value) in self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() && !head.contains("transfer-encoding") && !head.contains("content-length") {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", self.body].concat()
    }
}

pub const fn post<'r>(target: &'r str, headers: &'r [(&'r str, &'r str)], body: &'r [u8]) -> Request<'r> {
    Request { method: "POST", target, headers, body }
}

pub const fn bare<'r>(method: &'r str, target: &'r str, headers: &'r [(&'r str, &'r str)]) -> Request<'r> {
    Request { method, target, headers, body: b"" }
}
