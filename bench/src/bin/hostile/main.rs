//! A million hostile requests beside good load: does a pipeline come to harm, is each counted under its reason, is every
//! good order stored, and what do the good ones feel of it?
//!
//! Attacks and what each must be answered are those of the pipeline's own test of ten thousand (`pipeline/tests/it/hostile`);
//! this is the long form, with windows of quiet between the windows of hostility.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

mod attacking;
mod good;
mod verify;
mod windows;

use anyhow::{Context, Result, bail};
use attacking::{corpus, support};
use bench::child::{Pipeline, pipeline_if_asked};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(
    about = "Sends hostile requests beside good orders, and proves that they do no harm",
    max_term_width = 100
)]
struct Options {
    /// Hostile requests in all.
    #[arg(long, default_value_t = 1_000_000)]
    requests: usize,
    /// Windows of hostility, and as many of quiet, in turn.
    #[arg(long, default_value_t = 21)]
    windows: usize,
    /// How long a window of quiet is.
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    quiet: Duration,
    /// Connections that send hostile requests.
    #[arg(long, default_value_t = 4)]
    attackers: usize,
    /// Good orders a second, in windows of both kinds.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// What the attacks are drawn by.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Where report and data are written.
    #[arg(long, default_value = "target/hostile")]
    out: PathBuf,
}

fn main() -> Result<ExitCode> {
    if let Some(code) = pipeline_if_asked() {
        return Ok(code);
    }
    let options = Options::parse();
    if options.windows == 0 || options.attackers == 0 || options.rate == 0 {
        bail!("windows, attackers and rate must be more than 0");
    }
    let data = options.out.join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(&data)?;
    let settings =
        vec![format!("embedded.data_dir={}", data.display()), "receive.body_timeout=1500ms".to_owned()];
    let pipeline = Pipeline::start("embedded", &settings)?;
    let at = pipeline.orders.context("it takes no orders")?;
    let run = windows::run(&options, at)?;
    let usage = pipeline.usage()?;
    let report = verify::verify(&options, pipeline, &data, &run, usage)?;
    println!("{}", report.text());
    let file = options.out.join("report.json");
    std::fs::write(&file, format!("{:#}\n", report.json()))?;
    println!("{}", file.display());
    Ok(if report.complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
