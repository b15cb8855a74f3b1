//! `pipeline token`: a fresh token for a client, shown once, and the line by which it is known.

use super::Answer;
use crate::receive::tokens;
use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use std::process::ExitCode;

/// What each token begins with, so that one that got into a repository or a log is found by those who look for such.
const PREFIX: &str = "tillflow_";
/// Random bytes of a token.
const BYTES: usize = 32;

/// A new token, and the line for the file. Nothing keeps it: what is not copied now is gone.
pub(super) fn token(name: &str) -> Result<Answer> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system has no random numbers"))?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let line = tokens::line(name, &token).map_err(|error| anyhow!(error))?;
    let text = format!(
        "# the token, for {name} alone; it is shown this once\n{token}\n\
         # the line for receive.tokens_file, which holds nothing secret\n{line}\n"
    );
    Ok(Answer::new(text, ExitCode::SUCCESS))
}
