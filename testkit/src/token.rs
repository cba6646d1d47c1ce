//! Tokens of OAUTHBEARER, for a broker that believes them unsigned.

/// A token without a signature; `expires` in seconds since 1970, an hour after it was issued.
pub fn unsigned(expires: u64) -> String {
    let part = |json: &str| base64(json.as_bytes());
    let claims = format!(r#"{{"sub":"davy","iat":{},"exp":{expires}}}"#, expires - 3_600);
    format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims))
}

/// As in URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(piece.get(at).copied().unwrap_or_default()));
        for at in 0..=piece.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}
