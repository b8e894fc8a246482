use super::*;

#[test]
fn app_keys_are_lowered_and_of_one_length() {
    let key = AppKey::parse("ABCDEF0123456789abcdef01").unwrap();
    assert_eq!(key.as_str(), "abcdef0123456789abcdef01");
    assert!(matches!(
        AppKey::parse("abc"),
        Err(IdError::TooShort {
            min: 24,
            actual: 3,
            ..
        })
    ));
    let dash = AppKey::parse("abcdef0123456789abcdef-1");
    assert!(matches!(dash, Err(IdError::Character { at: 22, .. })));
}

#[test]
fn usernames_follow_jmessage() {
    for good in ["abcd", "7abc", "a_.-@", &"x".repeat(128)] {
        assert!(Username::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "abc",
        "_abc",
        "$service",
        "ab c",
        "ab/cd",
        "äbcde",
        &"x".repeat(129),
    ] {
        assert!(Username::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn lengths_are_bytes() {
    assert!(ClientId::parse("ü".repeat(64)).is_ok());
    assert!(ClientId::parse("ü".repeat(65)).is_err());
    assert!(ClientId::parse("").is_err());
    assert!(ClientId::parse("a\nb").is_err());
    assert!(ClientMessageId::parse("m".repeat(64)).is_ok());
    assert!(ClientMessageId::parse("m".repeat(65)).is_err());
    assert!(RegistrationId::parse("r").is_ok());
    assert!(Epoch::parse("e".repeat(33)).is_err());
}

#[test]
fn numbers_stay_below_javascripts_limit() {
    assert_eq!(GroupId::parse(MAX_ID).unwrap().get(), 9_007_199_254_740_991);
    assert!(GroupId::parse(MAX_ID + 1).is_err());
    assert_eq!("12".parse::<RoomId>().unwrap().get(), 12);
    for bad in ["", "+1", "-1", "01", "1.0", "x", "99999999999999999999"] {
        assert!(bad.parse::<RoomId>().is_err(), "{bad}");
    }
    assert_eq!(Seq::ZERO.next().get(), 1);
    assert_eq!(Seq::parse(MAX_ID).unwrap().next().get(), MAX_ID);
}

#[test]
fn serde_validates_and_keeps_numbers_numbers() {
    assert_eq!(
        serde_json::to_string(&MessageId::parse(7).unwrap()).unwrap(),
        "7"
    );
    assert!(serde_json::from_str::<MessageId>("9007199254740992").is_err());
    assert!(serde_json::from_str::<MessageId>("\"7\"").is_err());
    assert_eq!(
        serde_json::from_str::<Username>("\"alice\"")
            .unwrap()
            .as_str(),
        "alice"
    );
    let error = serde_json::from_str::<Username>("\"al\"")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("username has 2 bytes, the least is 4"),
        "{error}"
    );
}

#[test]
fn errors_name_the_id() {
    assert_eq!(Username::parse("a").unwrap_err().what(), "username");
    assert_eq!("a".parse::<GroupId>().unwrap_err().what(), "gid");
}
