//! What the command line and the workload file ask for together.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use loadgen::calibrate::{Calibration, calibrate};
use loadgen::payload::{
    CreatedAt, DEFAULT_MAX_BYTES, GenerateSpec, Payload, Template, created_at_ns, generate_shaped, replay,
};
use loadgen::plan::{Bodies, Limits, Plan, Tls, statuses};
use loadgen::report::PayloadReport;
use loadgen::schedule::Profile;
use loadgen::workload::Workload;

use crate::cli::{self, RunArgs, Spin};

const RATE: f64 = 1_000.0;
const DURATION: Duration = Duration::from_secs(10);
/// Methods whose requests mostly have no body.
const WITHOUT_BODY: [&str; 4] = ["GET", "HEAD", "DELETE", "OPTIONS"];
const EACH_CALIBRATED: Duration = Duration::from_secs(2);

/// What to run.
pub(crate) struct Asked {
    pub(crate) plan: Plan,
    pub(crate) bodies: Bodies,
    pub(crate) about: PayloadReport,
    pub(crate) calibration: Option<Calibration>,
    /// The orders, if it is orders.
    pub(crate) payload: Option<Arc<Payload>>,
}

impl Asked {
    pub(crate) fn of(args: &RunArgs) -> anyhow::Result<Self> {
        let workload = args.workload.as_deref().map(Workload::read).transpose()?;
        let calibration = calibration(args)?;
        let mut plan = plan(args, workload.as_ref(), calibration.as_ref())?;
        let seed = args.seed.or(workload.as_ref().map(|workload| workload.seed)).unwrap_or(1);
        if let Some((bodies, about)) = plain_bodies(args, workload.as_ref(), &plan.method, seed)? {
            if matches!(plan.profile, Some(Profile::Replay { .. })) {
                bail!("replay the gaps of orders without orders: give --data");
            }
            // Each body would count as that many orders, and be sent that much more seldom.
            if plan.batch != 1 {
                bail!(
                    "send {} orders a request: these bodies are no orders, so the batch must be 1",
                    plan.batch
                );
            }
            return Ok(Self { plan, bodies, about, calibration, payload: None });
        }
        let (payload, seed) = orders(args, workload.as_ref(), &mut plan, seed)?;
        let payload = Arc::new(payload);
        Ok(Self {
            plan,
            bodies: Bodies::from(&payload),
            about: PayloadReport::new(&payload, seed),
            calibration,
            payload: Some(payload),
        })
    }
}

fn calibration(args: &RunArgs) -> anyhow::Result<Option<Calibration>> {
    if args.calibrate {
        return Ok(Some(calibrate(args.connections, EACH_CALIBRATED, |_| {}).context("calibrate")?));
    }
    let read = |path: &Path| {
        Calibration::read(path).with_context(|| format!("read the calibration {}", path.display()))
    };
    args.calibration.as_deref().map(read).transpose()
}

fn plan(
    args: &RunArgs,
    workload: Option<&Workload>,
    calibration: Option<&Calibration>,
) -> anyhow::Result<Plan> {
    let (rate, duration) = (args.rate.unwrap_or(RATE), args.duration.unwrap_or(DURATION));
    let mut plan = Plan::new(args.url.clone(), rate, duration);
    // A rate or a duration on the command line asks for a steady rate, whatever the workload says.
    let steady = args.rate.is_some() || args.duration.is_some() || args.closed;
    plan.profile = match (args.speed, workload) {
        (Some(speed), _) => Some(Profile::Replay { speed }),
        (None, Some(workload)) if !steady => Some(workload.profile.clone()),
        _ => None,
    };
    plan.closed_loop = args.closed;
    plan.batch = args.batch.or(workload.and_then(|workload| workload.batch)).unwrap_or(1);
    plan.orders = args.orders;
    let request = workload.and_then(|workload| workload.request.as_ref());
    let method = args.method.clone().or(request.and_then(|request| request.method.clone()));
    plan.method = method.unwrap_or_else(|| "POST".to_owned());
    let of_workload = request.into_iter().flat_map(|request| request.headers.clone());
    // The last of a name counts.
    plan.headers = of_workload.chain(args.header.iter().cloned()).collect();
    plan.expect = args.expect.clone();
    if let (Some(request), true) = (request, args.expect.is_empty()) {
        let read =
            |text: &String| statuses(text).map_err(|error| anyhow!("read the status {text:?}: {error}"));
        plan.expect =
            request.expect.iter().map(read).collect::<anyhow::Result<Vec<RangeInclusive<u16>>>>()?;
    }
    plan.connections = args.connections;
    plan.streams = args.streams;
    plan.max_in_flight = args.max_in_flight;
    plan.threads = args.threads;
    plan.http2 = args.http2;
    plan.tls = match (&args.ca, args.insecure) {
        (Some(path), _) => Tls::Authorities(path.clone()),
        (None, true) => Tls::Insecure,
        (None, false) => Tls::System,
    };
    plan.unix_socket = args.unix_socket.clone();
    (plan.timeout, plan.retry_for) = (args.timeout, args.retry_for);
    plan.limits =
        Limits { min_achieved: args.min_achieved, max_delay: args.max_delay, max_cpu: args.max_cpu };
    plan.slack = args.slack;
    plan.spin = match args.spin {
        Spin::For(time) => time,
        Spin::Auto => {
            calibration.map_or(Duration::ZERO, |found| Duration::from_secs_f64(found.spin_us / 1e6))
        }
    };
    Ok(plan)
}

/// The bodies of requests that are no orders; nothing where orders are to be sent.
fn plain_bodies(
    args: &RunArgs,
    workload: Option<&Workload>,
    method: &str,
    seed: u64,
) -> anyhow::Result<Option<(Bodies, PayloadReport)>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let same = |body: Vec<u8>| {
        let about = PayloadReport::same(&body);
        Some((Bodies::Same(Bytes::from(body)), about))
    };
    let filled = |text: &str| -> anyhow::Result<_> {
        let template = Template::new(text, seed)?;
        let about = PayloadReport::template(&template);
        Ok(Some((Bodies::Template(Arc::new(template)), about)))
    };
    if let Some(path) = &args.body_file {
        return Ok(same(read(path)?));
    }
    if let Some(path) = &args.body_template {
        let text = String::from_utf8(read(path)?).with_context(|| format!("read {}", path.display()))?;
        return filled(&text);
    }
    let request = workload.and_then(|workload| workload.request.as_ref());
    if let (Some(text), false) = (request.and_then(|request| request.template.as_ref()), args.no_body) {
        return filled(text);
    }
    let none = args.no_body || request.is_some() || WITHOUT_BODY.contains(&method);
    Ok(if none && args.data.is_none() { same(Vec::new()) } else { None })
}

/// The orders to send, and the seed they were drawn from if they were. A replay gets its instants.
fn orders(
    args: &RunArgs,
    workload: Option<&Workload>,
    plan: &mut Plan,
    seed: u64,
) -> anyhow::Result<(Payload, Option<u64>)> {
    let of_workload = workload.and_then(|workload| workload.data.as_ref());
    if let Some(path) = args.data.as_ref().or(of_workload) {
        if !matches!(plan.profile, Some(Profile::Replay { .. })) {
            let limit = if plan.closed_loop { plan.orders } else { Some(plan.orders_asked()?) };
            return Ok((replay(path, limit, DEFAULT_MAX_BYTES)?, None));
        }
        let (payload, instants) = created_at_ns(&replay(path, plan.orders, DEFAULT_MAX_BYTES)?, path)?;
        plan.instants = Some(instants.into());
        return Ok((payload, None));
    }
    let orders = if plan.closed_loop {
        plan.orders.context("generate orders for a closed loop without a number of them: give --orders")?
    } else {
        plan.orders_asked()?
    };
    let spec = GenerateSpec {
        orders,
        seed,
        run_id: args.run_id.clone().unwrap_or_else(cli::new_run_id),
        created_at: CreatedAt::Absent,
        max_bytes: DEFAULT_MAX_BYTES,
    };
    let mut shape = workload.map(|workload| workload.orders).unwrap_or_default();
    shape.malformed = args.malformed.unwrap_or(shape.malformed);
    Ok((generate_shaped(&spec, &shape)?, Some(seed)))
}
