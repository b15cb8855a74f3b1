//! The API's description, OpenAPI 3.1, served as it stands in the file.

/// The document at `/openapi.json`.
pub const fn document() -> &'static str {
    include_str!("openapi.json")
}
