//! The dead letters, wherever they are.

use super::{embedded, servers};
use crate::config::{Config, Mode};
use crate::dead::{self, Ask, Filter, Listing, Report};
use crate::log::dead::{DeadPlace, Letter, Replayed};
use crate::log::kafka::{self, KafkaDead};
use crate::log::sqlite::{self as sqlite_log, SqliteDead, SqliteReader};
use crate::observe::manage::Observed;
use crate::whereabouts::{self, Whereabouts};
use anyhow::Result;
use std::time::{Duration, Instant};

/// How long the threads of a log may take to end when all was answered.
const END: Duration = Duration::from_secs(30);

/// The dead letters that are meant.
///
/// # Errors
/// Where they cannot be read.
pub fn dead_letters(config: &Config, filter: &Filter) -> Result<Listing> {
    Ok(match config.mode {
        Mode::Embedded => dead::list(&embedded_dead(config), filter)?,
        Mode::Servers => dead::list(&KafkaDead::new(&config.kafka), filter)?,
    })
}

/// The dead letters at a place, each with the note that it was sent again.
///
/// # Errors
/// Where they cannot be read.
pub fn dead_letter(config: &Config, place: &DeadPlace) -> Result<Vec<(Letter, Option<Replayed>)>> {
    Ok(match config.mode {
        Mode::Embedded => dead::find(&embedded_dead(config), place)?,
        Mode::Servers => dead::find(&KafkaDead::new(&config.kafka), place)?,
    })
}

/// Sends dead letters again. The embedded log has one writer, so its pipeline must not be running.
///
/// # Errors
/// Whatever keeps it from being done, with its reason. What was sent by then is known to a next replay.
pub async fn replay_dead_letters(config: &Config, ask: &Ask) -> Result<Report> {
    let began = Instant::now();
    match config.mode {
        Mode::Embedded => {
            let data_dir = &config.embedded.data_dir;
            let _lock = embedded::lock(data_dir)?;
            let file = embedded::log_file(data_dir);
            let opened = sqlite_log::open(&file, config.log.partitions, config.embedded.cache_bytes)?;
            let readers =
                (0..opened.place.partitions).map(|at| SqliteReader::detached(&opened, at)).collect();
            let sqlite_log::Started { log, consumer, writer } =
                sqlite_log::start(opened, embedded::log_limits(config))?;
            drop(consumer);
            let report =
                dead::replay(&embedded_dead(config), &log, readers, &embedded::books(config), ask).await;
            drop(log);
            super::join([writer].into_iter(), began, began.elapsed() + END).await?;
            Ok(report?)
        }
        Mode::Servers => {
            let books = servers::books(config).await?;
            let (readers, _polled) = servers::readers(config).await?;
            let kafka::Started { log, poller } =
                kafka::start(&config.kafka, &config.log, &Observed::default())?;
            let dead = KafkaDead::new(&config.kafka);
            let report = dead::replay(&dead, &log, readers, &books, ask).await;
            drop(log);
            super::join([poller].into_iter(), began, began.elapsed() + END).await?;
            Ok(report?)
        }
    }
}

/// Where an order is; `around` is about when it was created or received, in nanoseconds of Unix time.
///
/// # Errors
/// Where something cannot be read.
pub async fn whereabouts(
    config: &Config,
    order_id: &str,
    around: Option<i64>,
) -> Result<Option<Whereabouts>> {
    Ok(match config.mode {
        Mode::Embedded => {
            let opened = sqlite_log::open_for_reading(&embedded::log_file(&config.embedded.data_dir))?;
            let readers =
                (0..opened.place.partitions).map(|at| SqliteReader::detached(&opened, at)).collect();
            let (books, dead) = (embedded::books(config), embedded_dead(config));
            whereabouts::find(readers, &books, &dead, &config.rules, order_id, around).await?
        }
        Mode::Servers => {
            let books = servers::books(config).await?;
            let (readers, _polled) = servers::readers(config).await?;
            let dead = KafkaDead::new(&config.kafka);
            whereabouts::find(readers, &books, &dead, &config.rules, order_id, around).await?
        }
    })
}

fn embedded_dead(config: &Config) -> SqliteDead {
    SqliteDead::new(&embedded::log_file(&config.embedded.data_dir))
}
