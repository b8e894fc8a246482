number_id! {
    /// A group's number, JMessage's `gid`.
    GroupId, "gid"
}

number_id! {
    /// A chatroom's number.
    RoomId, "room_id"
}

number_id! {
    /// A message's number: unique over all nodes and ordered by time.
    MessageId, "msg_id"
}
