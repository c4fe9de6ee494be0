//! Whether a jpg is complete: its decoder does not check that.

/// Follows the markers of a jpg; true if they lead to the end-of-image marker (ITU T.81, annex B).
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker; within a scan, `FF 00` is data and `FF D0`–`FF D7` are restarts.
        while !matches!(bytes.get(at..at + 2), Some([0xFF, m]) if !matches!(m, 0 | 0xD0..=0xD7 | 0xFF)) {
            at += 1;
            if at + 2 > bytes.len() {
                return false;
            }
        }
        if bytes[at + 1] == 0xD9 {
            return true;
        }
        let Some(length) = bytes.get(at + 2..at + 4) else { return false };
        at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
}
