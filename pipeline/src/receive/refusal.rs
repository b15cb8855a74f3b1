//! Why a request as a whole is refused: one enum, from which status, tag and text follow.

use hyper::StatusCode;

/// A request that is refused before its orders get verdicts of their own. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such path.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// A token is asked for, and the request shows none that is known.
    Unauthorized,
    /// The media type is none that orders come in.
    UnsupportedMediaType,
    /// The content encoding is none that is understood.
    UnsupportedEncoding,
    /// The body is not what its content encoding says.
    BadEncoding,
    /// The body, decompressed, is over the limit.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTimeout,
    /// The connection broke, or the body is not framed as HTTP wants it.
    BodyBroken,
    /// There are no orders in it.
    Empty,
    /// It is not JSON.
    NotJson,
    /// There are more orders than the limit.
    TooManyOrders,
    /// `Idempotency-Key` cannot be an order id.
    BadIdempotencyKey,
    /// `Tillflow-Due-At` is no number of nanoseconds.
    BadDueAt,
    /// What is in flight is at its limit.
    Busy,
}

impl Refusal {
    /// All refusals, in the order of their declaration.
    pub const ALL: [Self; 15] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Unauthorized,
        Self::UnsupportedMediaType,
        Self::UnsupportedEncoding,
        Self::BadEncoding,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::BodyBroken,
        Self::Empty,
        Self::NotJson,
        Self::TooManyOrders,
        Self::BadIdempotencyKey,
        Self::BadDueAt,
        Self::Busy,
    ];

    /// The status to answer with.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnsupportedMediaType | Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge | Self::TooManyOrders => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BadEncoding
            | Self::BodyBroken
            | Self::Empty
            | Self::NotJson
            | Self::BadIdempotencyKey
            | Self::BadDueAt => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The word in the answer.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Unauthorized => "unauthorized",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::BadEncoding => "bad_encoding",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::Empty => "empty",
            Self::NotJson => "not_json",
            Self::TooManyOrders => "too_many_orders",
            Self::BadIdempotencyKey => "bad_idempotency_key",
            Self::BadDueAt => "bad_due_at",
            Self::Busy => "busy",
        }
    }

    /// The text in the answer.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::NotFound => "there are POST /v1/orders, POST /orderitem and GET /openapi.json",
            Self::MethodNotAllowed => "see the header Allow",
            Self::Unauthorized => {
                "orders are taken with `Authorization: Bearer TOKEN`, a token that is known here"
            }
            Self::UnsupportedMediaType => {
                "orders come as application/json (an object or an array) or as application/x-ndjson"
            }
            Self::UnsupportedEncoding => "the body may be encoded as gzip, zstd or identity",
            Self::BadEncoding => "the body is not what its Content-Encoding says",
            Self::BodyTooLarge => "the body is over the limit, after decompression",
            Self::BodyTimeout => "the body did not come in time",
            Self::BodyBroken => "the body broke off",
            Self::Empty => "there are no orders in the body",
            Self::NotJson => "the body is not JSON",
            Self::TooManyOrders => "there are more orders in the body than the limit",
            Self::BadIdempotencyKey => {
                "Idempotency-Key, with -index behind it in a batch, is 1 to 64 visible ASCII characters"
            }
            Self::BadDueAt => "Tillflow-Due-At is a number of nanoseconds of Unix time",
            Self::Busy => "too much is in flight; try again after the time in Retry-After",
        }
    }

    /// Whether the same request may work later.
    pub const fn retry(self) -> bool {
        matches!(self, Self::Busy | Self::BodyTimeout | Self::BodyBroken)
    }
}
