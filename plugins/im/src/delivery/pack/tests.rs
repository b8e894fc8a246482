use partyline_protocol::{
    AppKey, ClientMessageId, InboxBatch, JsonObject, Member, MessageId, MessageType, TargetType,
    Username,
};
use proptest::prelude::*;

use super::*;
use crate::conversation_key::ConversationKey;
use crate::store::{StoredContent, StoredItem};

fn item(seq: u64, length: usize, hidden: bool) -> ReadyItem {
    let member = |name: &str| Member {
        appkey: AppKey::parse("a".repeat(24)).unwrap(),
        username: Username::parse(name).unwrap(),
    };
    let (owner, sender) = (member("bobby"), member("alice"));
    let stored = StoredItem {
        seq: Seq::parse(seq).unwrap(),
        id: MessageId::parse(seq).unwrap(),
        conversation: ConversationKey::between(&owner, &sender),
        msg_seq: Seq::parse(seq).unwrap(),
        sender,
        client_msg_id: Some(ClientMessageId::parse("c").unwrap()),
        at_ms: seq,
        expire_at: hidden.then_some(1),
        no_offline: false,
        truncated: false,
        content: Some(StoredContent {
            target_type: TargetType::Single,
            target_id: "bobby".to_owned(),
            msg_type: MessageType::Text,
            msg_body: JsonObject::parse(format!(r#"{{"text":"{}"}}"#, "x".repeat(length))).unwrap(),
            no_notification: false,
            notification: None,
            need_receipt: false,
            at: None,
        }),
    };
    ReadyItem::new(&owner, stored).unwrap()
}

const VIEWING: Viewing = Viewing {
    now_ms: 2,
    live_after: None,
};

proptest! {
    #[test]
    fn batches_join_hold_everything_and_keep_to_their_size(
        items in prop::collection::vec((1_u64..4, 0_usize..2000, any::<bool>()), 0..30),
        beyond in 0_u64..3,
        limit in 700_usize..4000,
    ) {
        let mut seq = 0;
        let mut all = VecDeque::new();
        for (step, length, hidden) in items {
            seq += step;
            all.push_back(item(seq, length, hidden));
        }
        let visible = all.iter().filter(|item| item.visible(VIEWING));
        let visible: Vec<u64> = visible.map(|item| item.seq.get()).collect();
        let upto = Seq::parse(seq + beyond).unwrap();
        let epoch = Epoch::parse("a life of 32 bytes, the longest.").unwrap();
        let budget = limit - batch_frame(epoch.as_str());
        let mut chunk = Chunk { items: all, upto };
        let (mut place, mut got) = (Seq::ZERO, Vec::new());
        loop {
            let packed = chunk.pack(place, budget, usize::MAX, VIEWING).unwrap();
            let payload = batch_payload(&epoch, place, &packed).unwrap();
            prop_assert!(payload.len() <= limit, "{} of {limit}", payload.len());
            let batch: InboxBatch = serde_json::from_str(&payload).unwrap();
            prop_assert_eq!((batch.prev, batch.seq), (place, packed.seq));
            got.extend(batch.items.iter().map(|item| item.seq.get()));
            prop_assert!(packed.seq > place || packed.seq == upto);
            place = packed.seq;
            if place == upto {
                break;
            }
        }
        prop_assert_eq!(got, visible);
    }
}

#[test]
fn a_limit_of_items_holds() {
    let items = (1..=5).map(|seq| item(seq, 1, seq == 2)).collect();
    let mut chunk = Chunk {
        items,
        upto: Seq::parse(9).unwrap(),
    };
    let packed = chunk.pack(Seq::ZERO, usize::MAX, 2, VIEWING).unwrap();
    assert_eq!((packed.items.len(), packed.seq.get()), (2, 3));
    let packed = chunk.pack(packed.seq, usize::MAX, 2, VIEWING).unwrap();
    assert_eq!((packed.items.len(), packed.seq.get()), (2, 9));
}
