//! Who publishes to what, and who receives it.

/// A numbered sequence of messages to one topic from one publisher.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) topic: String,
    /// Its place among the publishers.
    pub(crate) publisher: usize,
    /// How many receivers get it.
    pub(crate) receivers: u64,
}

/// A connection that subscribes.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) filters: Vec<String>,
    /// The flows that it gets: so many, this one and every `step`th after it.
    pub(crate) first_flow: u32,
    pub(crate) flows: u32,
    pub(crate) step: u32,
}

impl Receiver {
    /// Where a flow stands among its own.
    pub(crate) fn place(&self, flow: u32) -> Option<usize> {
        let after = flow.checked_sub(self.first_flow)?;
        let place = after.checked_div(self.step)?;
        after.is_multiple_of(self.step).then_some(place as usize)
    }
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) flows: Vec<Flow>,
    pub(crate) publishers: usize,
    pub(crate) receivers: Vec<Receiver>,
}

impl Plan {
    /// Each publisher has a topic and a receiver of its own.
    pub(crate) fn pairs(pairs: u32) -> Self {
        Self::users(pairs, pairs, 1)
    }

    /// One publisher, one topic, many receivers.
    pub(crate) fn fan_out(receivers: u32) -> Self {
        let receiver = |_| Receiver {
            filters: vec!["out/all".to_owned()],
            first_flow: 0,
            flows: 1,
            step: 1,
        };
        Self {
            flows: vec![Flow {
                topic: "out/all".to_owned(),
                publisher: 0,
                receivers: receivers.into(),
            }],
            publishers: 1,
            receivers: (0..receivers).map(receiver).collect(),
        }
    }

    /// Many publishers, each with a topic of its own, and one receiver with a wildcard.
    pub(crate) fn fan_in(publishers: u32) -> Self {
        let flow = |n| Flow {
            topic: format!("in/{n}"),
            publisher: n as usize,
            receivers: 1,
        };
        Self {
            flows: (0..publishers).map(flow).collect(),
            publishers: publishers as usize,
            receivers: vec![Receiver {
                filters: vec!["in/+".to_owned()],
                first_flow: 0,
                flows: publishers,
                step: 1,
            }],
        }
    }

    /// Each topic has one receiver, each connection so many topics; the publishers share the topics.
    pub(crate) fn users(topics: u32, publishers: u32, topics_each: u32) -> Self {
        let publishers = publishers.clamp(1, topics.max(1));
        let topic = |n| format!("user/{n}/inbox");
        let flow = |n| Flow {
            topic: topic(n),
            publisher: (n % publishers) as usize,
            receivers: 1,
        };
        // The topics of one connection lie far apart, so that no two messages in a row are its own.
        let connections = topics.div_ceil(topics_each.max(1));
        let receiver = |first: u32| {
            let own = (first..topics).step_by(connections as usize);
            Receiver {
                flows: (topics - first).div_ceil(connections),
                filters: own.map(topic).collect(),
                first_flow: first,
                step: connections,
            }
        };
        Self {
            flows: (0..topics).map(flow).collect(),
            publishers: publishers as usize,
            receivers: (0..connections).map(receiver).collect(),
        }
    }
}
