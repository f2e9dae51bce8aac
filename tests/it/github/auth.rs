//! Who a request is from.

use octocrab::jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use super::call::{Caller, Reply};
use super::state::{State, Token};

/// What an App says of itself, with its signature.
#[derive(Deserialize)]
struct Claims {
    iss: serde_json::Value,
    iat: u64,
    exp: u64,
}

/// Who shows this header: `Bearer` and `token` for the API, `Basic` for Git.
pub fn caller(state: &State, header: Option<&str>) -> Result<Caller, Reply> {
    let bad = || Reply::error(401, "Bad credentials");
    let Some((kind, shown)) = header.map(|header| header.split_once(' ').unwrap_or((header, "")))
    else {
        return Ok(Caller::Nobody);
    };
    match kind.to_ascii_lowercase().as_str() {
        "bearer" if shown.matches('.').count() == 2 => app(state, shown),
        "bearer" | "token" => token(state, shown).ok_or_else(bad),
        "basic" => {
            let text = decode64(shown).ok_or_else(bad)?;
            let (_, password) = text.split_once(':').ok_or_else(bad)?;
            token(state, password).ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

fn token(state: &State, shown: &str) -> Option<Caller> {
    match state.tokens.get(shown)? {
        Token::Personal { user } => Some(Caller::User(user.clone())),
        Token::Installation { installation, permissions, selected, ends } => {
            let it = state.installations.iter().find(|it| it.id == *installation)?;
            (*ends > state.now() && it.suspended.is_none()).then(|| Caller::Installation {
                app: it.app,
                id: it.id,
                permissions: permissions.clone(),
                selected: selected.clone(),
                login: format!("{}[bot]", state.app(it.app).slug),
            })
        }
    }
}

fn app(state: &State, shown: &str) -> Result<Caller, Reply> {
    let bad = || Reply::error(401, "A JSON web token could not be decoded");
    // Held against the machine's clock, as that is what the signer sees.
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_required_spec_claims(&["exp"]);
    rules.leeway = 60;
    let found = state.apps.iter().find_map(|app| {
        let key = DecodingKey::from_rsa_pem(app.public_key.as_bytes()).unwrap();
        let claims = decode::<Claims>(shown, &key, &rules).ok()?.claims;
        let says = claims.iss.to_string();
        let is_own = says.trim_matches('"') == app.id.to_string();
        is_own.then_some((app.id, claims))
    });
    let (id, claims) = found.ok_or_else(bad)?;
    let now = jiff::Timestamp::now().as_second().unsigned_abs();
    if claims.iat > now + 60 {
        return Err(Reply::error(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    if claims.exp > now + 10 * 60 + 60 {
        return Err(Reply::error(401, "'Expiration time' claim ('exp') is too far in the future"));
    }
    Ok(Caller::App(id))
}

/// RFC 4648.
fn decode64(text: &str) -> Option<String> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').bytes();
    let digits = digits.map(|b| DIGITS.iter().position(|digit| *digit == b));
    let digits = digits.collect::<Option<Vec<_>>>()?;
    let bits: Vec<usize> =
        digits.iter().flat_map(|six| (0..6).rev().map(move |n| six >> n & 1)).collect();
    let byte = |eight: &[usize]| eight.iter().fold(0, |all, bit| all << 1 | bit);
    let bytes = bits.chunks_exact(8).map(|eight| u8::try_from(byte(eight)).ok());
    String::from_utf8(bytes.collect::<Option<Vec<_>>>()?).ok()
}
