//! MQTT 5.0.

use crate::Chapter;

pub(crate) const CHAPTERS: &[Chapter] = &[];
