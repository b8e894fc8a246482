use std::net::{Ipv4Addr, SocketAddr};

use partyline_plugin::{
    DeviceKey, Owner, Principal, ProtocolVersion, Reason as Refusal, Role, SessionId,
    TrackedOutcome, UserLogin,
};
use partyline_protocol::{AckMode, AppKey, Class, ClientId, Username};

use super::*;
use crate::store::{CursorMove, Place};

fn seq(number: u64) -> Seq {
    Seq::parse(number).unwrap()
}

fn inbox() -> Inbox {
    let app = AppKey::parse("a".repeat(24)).unwrap();
    let username = Username::parse("bobby").unwrap();
    let device = RegistrationId::parse("phone").unwrap();
    let key = DeviceKey {
        app: app.clone(),
        owner: Owner::Device,
        client_id: ClientId::parse("phone").unwrap(),
    };
    let user = Some(UserLogin {
        username: username.clone(),
        class: Class::Other,
    });
    let principal = Principal {
        role: Role::Device,
        registration: Some(device.clone()),
        user,
    };
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let id = SessionId::new(1);
    let session = SessionInfo::new(id, key, principal, ProtocolVersion::V5, peer, None);
    Inbox::new(
        &session,
        Member {
            appkey: app,
            username,
        },
        device,
    )
}

fn opened(cursor: u64, head: u64) -> Opened {
    let place = Place {
        stream: StreamId(1),
        epoch: Epoch::parse("life").unwrap(),
        head: seq(head),
        floor: Seq::ZERO,
    };
    Opened {
        place,
        cursor: seq(cursor),
        untouched: false,
    }
}

/// An inbox whose task is about to send what follows `cursor`.
fn running(cursor: u64) -> (Inbox, Sending) {
    let inbox = inbox();
    assert!(
        inbox.open(Reason::Subscription),
        "the first to open it starts the task"
    );
    assert!(matches!(inbox.turn(), Turn::Load(Start::Acknowledged)));
    inbox.loaded(opened(cursor, 100), Start::Acknowledged);
    let sending = sending(&inbox);
    (inbox, sending)
}

fn sending(inbox: &Inbox) -> Sending {
    match inbox.turn() {
        Turn::Send(sending) => sending,
        other => panic!("{other:?}"),
    }
}

fn way(inbox: &Inbox, from: u64, to: u64) -> CursorMove {
    let device = inbox.device.clone();
    CursorMove {
        stream: StreamId(1),
        device,
        from: seq(from),
        to: seq(to),
    }
}

#[test]
fn no_wake_is_lost_and_one_task_runs() {
    let (inbox, _) = running(5);
    assert!(!inbox.wake(), "the task is there");
    assert!(
        !inbox.rest(),
        "and may not leave: it may not have seen what happened"
    );
    sending(&inbox);
    assert!(inbox.rest());
    assert!(inbox.wake(), "now it takes another one");
}

#[test]
fn a_closed_inbox_sends_nothing_and_counts_what_was_in_flight() {
    let (inbox, batch) = running(5);
    inbox.sending(seq(8));
    assert!(inbox.close(Reason::Subscription));
    assert!(!inbox.wake());
    assert_eq!(
        inbox.settled(TrackedOutcome::Acked, &batch, seq(8)),
        Some(way(&inbox, 5, 8))
    );
    assert!(matches!(inbox.turn(), Turn::Leave));
    assert!(inbox.open(Reason::Subscription));
    assert!(
        matches!(inbox.turn(), Turn::Load(_)),
        "what was announced went past it"
    );
    // The store may know less than what was acknowledged.
    inbox.loaded(opened(5, 100), Start::Acknowledged);
    assert_eq!(sending(&inbox).prev, seq(8));
}

#[test]
fn after_a_refusal_nothing_goes_until_asked() {
    let (inbox, batch) = running(5);
    inbox.sending(seq(8));
    let refused = TrackedOutcome::Refused(Refusal::UnspecifiedError);
    assert_eq!(inbox.settled(refused, &batch, seq(8)), None);
    assert!(matches!(inbox.turn(), Turn::Leave));
    assert!(!inbox.wake());
    assert!(inbox.open(Reason::Subscription));
    assert!(matches!(inbox.turn(), Turn::Load(_)));
    inbox.loaded(opened(5, 100), Start::Acknowledged);
    assert_eq!(sending(&inbox).prev, seq(5), "sent again");
}

#[test]
fn what_was_skipped_is_not_acknowledged_by_what_follows() {
    let (inbox, first) = running(5);
    inbox.configure(Configured {
        ack: AckMode::Explicit,
        ..Configured::default()
    });
    inbox.sending(seq(8));
    assert_eq!(inbox.settled(TrackedOutcome::Acked, &first, seq(8)), None);
    let second = sending(&inbox);
    assert_eq!(second.prev, seq(8));
    inbox.sending(seq(9));
    inbox.configure(Configured::default());
    assert_eq!(
        inbox.settled(TrackedOutcome::Acked, &second, seq(9)),
        None,
        "6 to 8 are not safe"
    );
    let done = inbox.acknowledge(&first.epoch, seq(8)).unwrap();
    assert_eq!((done.cursor, done.moved), (seq(8), Some(way(&inbox, 5, 8))));
    assert!(inbox.acknowledge(&first.epoch, seq(10)).is_err());
}

#[test]
fn a_page_counts_as_sent_if_it_joins() {
    let (inbox, batch) = running(5);
    inbox.paged(&batch.epoch, seq(7), seq(9));
    assert!(
        inbox.acknowledge(&batch.epoch, seq(9)).is_err(),
        "6 and 7 were not sent"
    );
    inbox.paged(&batch.epoch, seq(2), seq(9));
    let done = inbox.acknowledge(&batch.epoch, seq(9)).unwrap();
    assert_eq!(done.cursor, seq(9));
}

#[test]
fn gone_is_for_good() {
    let (inbox, batch) = running(5);
    assert_eq!(inbox.settled(TrackedOutcome::Gone, &batch, seq(8)), None);
    assert!(inbox.is_over());
    assert!(matches!(inbox.turn(), Turn::Leave));
    assert!(!inbox.open(Reason::Subscription));
}

#[test]
fn a_look_that_was_overtaken_is_done_again() {
    let (inbox, _) = running(5);
    assert!(inbox.close(Reason::Subscription));
    assert!(matches!(inbox.turn(), Turn::Leave));
    assert!(inbox.open(Reason::Subscription));
    assert!(matches!(inbox.turn(), Turn::Load(_)));
    // While the store is asked, what is announced goes past the inbox.
    assert!(inbox.close(Reason::Subscription));
    assert!(!inbox.open(Reason::Subscription));
    inbox.loaded(opened(5, 100), Start::Acknowledged);
    assert!(matches!(inbox.turn(), Turn::Load(_)));
    inbox.not_loaded(Start::Acknowledged);
    assert!(matches!(inbox.turn(), Turn::Load(_)), "after an error too");
    inbox.loaded(opened(5, 101), Start::Acknowledged);
    assert_eq!(sending(&inbox).head, seq(101));
}

#[test]
fn a_refresh_finds_what_was_not_announced_and_goes_on_where_it_was() {
    let (inbox, _) = running(5);
    inbox.sending(seq(100));
    sending(&inbox);
    assert!(inbox.rest());
    assert!(inbox.refresh(), "an idle inbox gets a task");
    assert!(matches!(inbox.turn(), Turn::Refresh));
    inbox.not_refreshed();
    assert!(
        matches!(inbox.turn(), Turn::Refresh),
        "after an error again"
    );
    inbox.refreshed(&opened(5, 101).place);
    let next = sending(&inbox);
    assert_eq!((next.prev, next.head), (seq(100), seq(101)));
}

#[test]
fn a_batch_that_found_no_room_goes_again() {
    let (inbox, batch) = running(5);
    inbox.sending(seq(8));
    inbox.unsent(&batch, seq(8));
    assert_eq!(sending(&inbox).prev, seq(5));
    assert!(
        inbox.acknowledge(&batch.epoch, seq(8)).is_err(),
        "it was not sent"
    );
}

#[test]
fn a_subscription_and_a_wish_end_on_their_own() {
    let inbox = inbox();
    let settings = |inbox: &Inbox| inbox.settings().deliver;
    for (one, other) in [
        (Reason::Subscription, Reason::Configured),
        (Reason::Configured, Reason::Subscription),
    ] {
        let _ = inbox.open(one);
        let _ = inbox.open(other);
        assert!(!inbox.close(one));
        assert!(settings(&inbox));
        assert!(inbox.close(other));
        assert!(!settings(&inbox));
    }
    // What a sync began ends with either.
    let _ = inbox.open(Reason::Sync);
    let _ = inbox.open(Reason::Subscription);
    assert!(inbox.close(Reason::Subscription));
}

#[test]
fn the_wish_for_history_counts_until_something_was_acknowledged() {
    let inbox = inbox();
    assert!(inbox.open(Reason::Subscription));
    inbox.configure(Configured {
        roaming: true,
        ..Configured::default()
    });
    assert!(matches!(inbox.turn(), Turn::Load(Start::Oldest)));
    // Its place was stored by an earlier connection that was cut short.
    let earlier = Opened {
        untouched: true,
        ..opened(7, 9)
    };
    inbox.loaded(earlier, Start::Oldest);
    assert!(matches!(inbox.turn(), Turn::Load(Start::OldestAgain)));
    inbox.loaded(opened(0, 9), Start::OldestAgain);
    assert_eq!(sending(&inbox).prev, seq(0));
}
