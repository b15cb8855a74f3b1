//! Receiving: HTTP in, an outcome for each order out. Only this module knows HTTP.
//!
//! A request goes through admission, body, frame, validate and publish, and is answered when the log has its orders.

pub mod admission;
mod body;
mod frame;
mod gate;
mod idle;
mod openapi;
mod refusal;
mod reply;
mod server;
mod tls;
pub mod tokens;
mod unread;

pub use frame::{Form, FrameError, Framed, frame};
pub use gate::Gate;
pub use openapi::document;
pub use refusal::Refusal;
pub use reply::{NO_ANSWER, NOT_PERSISTED};
pub use server::{Server, requests, start};

use crate::config;
use crate::log::Publish;
use crate::observe::manage::Observed;
use crate::observe::metrics::Copied;
use crate::order::{Rules, is_order_id};
use crate::outcomes::Outcome;
use crate::publish::{Published, publish};
use crate::time;
use crate::validate::{Origin, validate};
use admission::{Admission, Admitted};
use body::Encoding;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use reply::{Reply, refused, reply};
use std::sync::Arc;
use std::time::Instant;
use unread::Unread;

/// The header with which a load generator says when an order was due, in nanoseconds of Unix time.
pub const DUE_AT: &str = "tillflow-due-at";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What takes orders in, and hands them to a log.
#[derive(Debug)]
pub struct Ingest<P> {
    /// The log.
    pub log: P,
    /// What decides verdicts.
    pub rules: Rules,
    /// The limits.
    pub limits: config::Receive,
    /// Who gets in.
    pub gate: Gate,
    /// What is in flight.
    pub admission: Admission,
    /// What is observed.
    pub observed: Observed,
}

impl<P: Publish> Ingest<P> {
    /// Answers a request of a connection.
    async fn answer(&self, request: Request<Incoming>, unread: &Arc<Unread>) -> Response<Full<Bytes>> {
        let start = Instant::now();
        let metrics = &self.observed.metrics;
        let (status, response) = match route(request.method(), request.uri().path()) {
            Ok(Route::Document) => {
                (StatusCode::OK, json(StatusCode::OK, Bytes::from_static(document().as_bytes())))
            }
            Ok(Route::Orders(created)) => {
                let (reply, admitted) = match self.take(request, created).await {
                    Ok((reply, admitted)) => (reply, Some(admitted)),
                    Err(refusal) => (self.refuse(refusal), None),
                };
                for (outcome, count) in Outcome::ALL.into_iter().zip(reply.counts) {
                    if count > 0 {
                        metrics.orders(outcome).inc_by(count);
                    }
                }
                (reply.status, self.respond(reply, admitted, unread))
            }
            Err((refusal, allow)) => {
                let mut response = self.respond(self.refuse(refusal), None, unread);
                if let Some(allow) = allow {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
                }
                (refusal.status(), response)
            }
        };
        metrics.requests(status.as_u16()).inc();
        metrics.receive_request_seconds.observe(start.elapsed().as_secs_f64());
        response
    }

    /// Takes a request's orders in and gives each an outcome.
    async fn take(
        &self,
        request: Request<Incoming>,
        created: StatusCode,
    ) -> Result<(Reply, Admitted), Refusal> {
        let metrics = &self.observed.metrics;
        // First of all, so that whoever may not send orders takes no room from those who may.
        if !self.gate.admits(request.headers(), &metrics.access) {
            return Err(Refusal::Unauthorized);
        }
        let mut admitted = self.admission.enter().ok_or(Refusal::Busy)?;
        let list_all =
            request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "results=all"));
        let (head, body) = request.into_parts();
        let form = form(&head.headers)?;
        let encoding = encoding(&head.headers)?;
        let mut origin = origin(&head.headers)?;
        let how = (head.version, encoding);
        // Its values are slices of the buffer that they were read into, like the body, and are not needed any more.
        drop(head);
        let bytes = body::read(body, how, &self.limits, &mut admitted, metrics).await?;
        if self.gate.is_tls() {
            metrics.copied(Copied::Decrypted).inc_by(bytes.len() as u64);
        }
        let framed =
            frame(&bytes, form, self.limits.max_orders_per_request).map_err(|error| match error {
                FrameError::Empty => Refusal::Empty,
                FrameError::NotJson => Refusal::NotJson,
                FrameError::TooMany => Refusal::TooManyOrders,
            })?;
        drop(bytes);
        origin.batch = framed.batch;
        if !origin.key_fits(framed.orders.len()) {
            return Err(Refusal::BadIdempotencyKey);
        }
        let (records, checked) = validate(framed.orders, &origin, &self.rules);
        // Room for a long reply is taken before anything is written: afterwards there is no way back.
        let room = reply::room(&checked, list_all);
        if room > unread::SHORT && !admitted.grow(room) {
            return Err(if admitted.never_fits(room) { Refusal::TooManyOrders } else { Refusal::Busy });
        }
        for rejection in checked.iter().filter_map(|order| order.rejection) {
            metrics.rejections(rejection.reason).inc();
        }
        let published =
            publish(&self.log, records, self.limits.reply_timeout, metrics, &self.observed.hops).await;
        if let Published::All(Outcome::Failed | Outcome::Unknown, _) = published {
            admitted.failed();
        }
        let mut reply = reply(&checked, &published, created, list_all);
        // A single body that is no JSON at all is the client's mistake in making requests, not in its orders.
        let not_json =
            |reason| matches!(reason, crate::order::Reason::NotJson | crate::order::Reason::InvalidUtf8);
        if let ([only], false) = (checked.as_slice(), origin.batch)
            && only.rejection.is_some_and(|rejection| not_json(rejection.reason))
        {
            reply.status = StatusCode::BAD_REQUEST;
        }
        Ok((reply, admitted))
    }

    /// The reply to a request that is refused whole; it is counted.
    fn refuse(&self, refusal: Refusal) -> Reply {
        self.observed.metrics.refusals(refusal.tag()).inc();
        refused(refusal)
    }

    fn respond(
        &self,
        reply: Reply,
        admitted: Option<Admitted>,
        unread: &Arc<Unread>,
    ) -> Response<Full<Bytes>> {
        // Before the request's own room is given back: it is part of what the next one would wait for.
        let later = matches!(reply.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let retry_after = later.then(|| HeaderValue::from(self.admission.retry_after()));
        let body = unread.hold(reply.body, admitted, self.limits.write_timeout);
        let mut response = json(reply.status, body);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        if reply.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

enum Route {
    Orders(StatusCode),
    Document,
}

type NoRoute = (Refusal, Option<&'static str>);

fn route(method: &Method, path: &str) -> Result<Route, NoRoute> {
    match (path, method) {
        ("/v1/orders", &Method::POST) => Ok(Route::Orders(StatusCode::ACCEPTED)),
        ("/orderitem", &Method::POST) => Ok(Route::Orders(StatusCode::CREATED)),
        ("/openapi.json", &Method::GET | &Method::HEAD) => Ok(Route::Document),
        ("/v1/orders" | "/orderitem", _) => Err((Refusal::MethodNotAllowed, Some("POST"))),
        ("/openapi.json", _) => Err((Refusal::MethodNotAllowed, Some("GET, HEAD"))),
        _ => Err((Refusal::NotFound, None)),
    }
}

/// What the body's media type says. None is JSON.
fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Form::Json) };
    let text = value.to_str().map_err(|_| Refusal::UnsupportedMediaType)?;
    let media = text.split(';').next().unwrap_or_default().trim();
    let is = |names: &[&str]| names.iter().any(|name| media.eq_ignore_ascii_case(name));
    if is(&["application/json"]) {
        Ok(Form::Json)
    } else if is(&["application/x-ndjson", "application/ndjson", "application/jsonl"]) {
        Ok(Form::Ndjson)
    } else {
        Err(Refusal::UnsupportedMediaType)
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(Encoding::Identity) };
    let text = value.to_str().unwrap_or("?").trim();
    match text {
        _ if second.is_some() => Err(Refusal::UnsupportedEncoding),
        _ if text.eq_ignore_ascii_case("identity") => Ok(Encoding::Identity),
        _ if text.eq_ignore_ascii_case("gzip") || text.eq_ignore_ascii_case("x-gzip") => Ok(Encoding::Gzip),
        _ if text.eq_ignore_ascii_case("zstd") => Ok(Encoding::Zstd),
        _ => Err(Refusal::UnsupportedEncoding),
    }
}

fn origin(headers: &HeaderMap) -> Result<Origin, Refusal> {
    let due_at = match headers.get(DUE_AT) {
        None => None,
        Some(value) => Some(value.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Refusal::BadDueAt)?),
    };
    let idempotency_key = match headers.get(IDEMPOTENCY_KEY) {
        None => None,
        Some(value) => {
            let text = value.to_str().map_err(|_| Refusal::BadIdempotencyKey)?;
            // The header's draft standard writes a quoted string; most clients write the bare key.
            let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
            if !is_order_id(key) {
                return Err(Refusal::BadIdempotencyKey);
            }
            Some(Box::from(key))
        }
    };
    Ok(Origin { received_at: time::now(), due_at, idempotency_key, batch: false })
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
