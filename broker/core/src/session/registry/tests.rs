use partyline_plugin::protocol::{Class, ClientId};
use partyline_plugin::{Clock, Owner, Principal, ProtocolVersion, Role};

use super::*;
use crate::config::LimitsConfig;
use crate::store::Journal;

fn attachment(id: u64) -> Arc<Attachment> {
    let user = UserLogin {
        username: Username::parse("alice").unwrap(),
        class: Class::Other,
    };
    let device = DeviceKey {
        app: AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap(),
        owner: Owner::Device,
        client_id: ClientId::parse("one").unwrap(),
    };
    let principal = Principal {
        role: Role::Device,
        registration: None,
        user: Some(user),
    };
    let (id, peer) = (SessionId::new(id), ([127, 0, 0, 1], 1).into());
    let info = SessionInfo::new(id, device, principal, ProtocolVersion::V5, peer, None);
    Arc::new(Attachment::new(info, 60, 0))
}

/// Two connections of one device at the same time: the one that was taken over must not be found.
#[test]
fn a_takeover_leaves_no_connection_behind() {
    let registry = Registry::default();
    let app = attachment(0).info().device.app.clone();
    let journal = Arc::new(Journal::new(Clock::default()));
    let space = Arc::new(AppSpace::new(app, &LimitsConfig::default(), journal));
    for round in 0..5000 {
        let both = [attachment(2 * round), attachment(2 * round + 1)];
        std::thread::scope(|scope| {
            for one in &both {
                scope.spawn(|| registry.attach(one, &space, false, 60, None));
            }
        });
        assert_eq!(registry.connections.len(), 1, "round {round}");
        let info = both[0].info();
        assert_eq!(
            registry
                .of_user(info.app(), &Username::parse("alice").unwrap())
                .len(),
            1
        );
    }
}
