//! What do a block's rows cost in SQLite before they are committed? By the statements of the embedded stores, on this
//! thread, into tables that are empty each time, in one transaction that is rolled back.

use std::path::PathBuf;

use anyhow::{Context, Result};
use pipeline::block::Block;
use pipeline::store::sqlite::{Rebuilt, RebuiltFile, start};
use pipeline::store::{Ends, Rebuilding};
use pipeline::wire;
use tokio::runtime::Runtime;

use super::{Digest, Orders, Stage};

struct Encode {
    runtime: Runtime,
    orders: RebuiltFile,
    rollups: RebuiltFile,
    make: Box<dyn Fn() -> Result<Block>>,
    next: Option<(Block, Block)>,
    begun: bool,
    _folder: Folder,
}

/// A folder that goes with the stage.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn encode(orders: &Orders) -> Result<Box<dyn Stage>> {
    let folder = std::env::temp_dir().join(format!("tillflow-stage-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let folder = Folder(folder);
    // Two files, since each is written to in a transaction of its own.
    let open = |name: &str, what| -> Result<RebuiltFile> {
        let file = folder.0.join(name);
        let started = start(&file, orders.config.embedded.cache_bytes, &wire::recipe(&orders.config))?;
        drop(started.stores);
        started.writer.join().ok().context("the writer failed")?;
        Ok(RebuiltFile::open(&file, what)?)
    };
    let made = Orders::new()?;
    Ok(Box::new(Encode {
        runtime: tokio::runtime::Builder::new_current_thread().build()?,
        orders: open("orders.db", Rebuilt::Orders)?,
        rollups: open("rollups.db", Rebuilt::Rollups)?,
        make: Box::new(move || made.block()),
        next: None,
        begun: false,
        _folder: folder,
    }))
}

impl Stage for Encode {
    fn prepare(&mut self) -> Result<()> {
        self.next = Some(((self.make)()?, (self.make)()?));
        let Self { runtime, orders, rollups, begun, .. } = self;
        runtime.block_on(async {
            for file in [orders, rollups] {
                if *begun {
                    file.discard().await?;
                }
                file.begin().await?;
            }
            *begun = true;
            Ok(())
        })
    }

    fn run(&mut self) -> Result<()> {
        let (orders, sums) = self.next.take().context("the stage is not prepared")?;
        let kept = sums.row.clone();
        self.runtime.block_on(async {
            self.orders.put(orders, &kept).await?;
            Ok(self.rollups.put(sums, &kept).await?)
        })
    }

    fn digest(&mut self) -> Result<u64> {
        let mut digest = Digest::default();
        for file in [&mut self.orders, &mut self.rollups] {
            let compared = self.runtime.block_on(file.compare(&Ends::new()))?;
            digest.number(compared.rows_after.into());
            for (key, sums) in compared.after {
                digest.bytes(key.source.as_bytes()).bytes(key.state.as_bytes()).number(sums.total_minor);
            }
        }
        Ok(digest.finish())
    }
}
