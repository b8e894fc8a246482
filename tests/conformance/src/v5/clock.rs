//! Time that passes, as the broker sees it.

use anyhow::Result;

use crate::Stage;

/// Lets at least this many seconds less one pass at the broker: a will is delayed for so long.
pub(super) async fn pass(stage: &Stage, seconds: u8) -> Result<()> {
    let clock = stage.topic("clock");
    let mut watch = stage.subscriber("watch", &[(&clock, 1)]).await?;
    let will = stage.lasting("clock").will(&clock, b"tick", 1, false);
    let will = will.will_property(0x18, vec![0, 0, 0, seconds]);
    drop(stage.connected(&will).await?);
    watch.take(&clock).await?;
    Ok(())
}
