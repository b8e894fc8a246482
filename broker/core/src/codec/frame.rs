//! The fixed header: where one packet ends.

use bytes::BytesMut;
use partyline_plugin::Reason;

/// Why bytes are not a packet.
pub(crate) type FrameError = crate::packet::ProtocolError;

/// One whole packet at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes before the body.
    pub(super) header: usize,
    /// Bytes of the whole packet.
    pub(super) total: usize,
}

/// Finds the first packet of `buffer`; `None` while it is not all there. A packet larger than
/// `max` is refused as soon as its length is known.
pub(super) fn first_packet(buffer: &BytesMut, max: usize) -> Result<Option<Header>, FrameError> {
    let mut length = 0_usize;
    for (index, byte) in buffer.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let header = index + 2;
            let total = header + length;
            if total > max {
                let detail = format!("packet of {total} bytes, the limit is {max}");
                return Err(FrameError::new(Reason::PacketTooLarge, detail));
            }
            return Ok((buffer.len() >= total).then_some(Header { header, total }));
        }
    }
    if buffer.len() >= 5 {
        return Err(FrameError::new(
            Reason::MalformedPacket,
            "remaining length over four bytes",
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_whole_packet() {
        let mut buffer = BytesMut::from(&[0xc0][..]);
        assert_eq!(first_packet(&buffer, 100), Ok(None));
        buffer.extend_from_slice(&[0x02, 1]);
        assert_eq!(first_packet(&buffer, 100), Ok(None));
        buffer.extend_from_slice(&[2, 9]);
        assert_eq!(
            first_packet(&buffer, 100),
            Ok(Some(Header {
                header: 2,
                total: 4
            }))
        );
    }

    #[test]
    fn refuses_by_the_length_alone() {
        let buffer = BytesMut::from(&[0x30, 0xff, 0xff, 0x03][..]);
        let error = first_packet(&buffer, 1000).unwrap_err();
        assert_eq!(error.reason, Reason::PacketTooLarge);
    }

    #[test]
    fn refuses_a_fifth_length_byte() {
        let buffer = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0xff][..]);
        let error = first_packet(&buffer, usize::MAX).unwrap_err();
        assert_eq!(error.reason, Reason::MalformedPacket);
    }
}
