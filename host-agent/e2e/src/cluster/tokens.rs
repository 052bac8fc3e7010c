//! Tokens that are no proof of anything: none, garbage, of another audience, over.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::Value;

use crate::cluster::agents::Agents;
use crate::cluster::call::{Call, OK, UNAUTHENTICATED, Who};
use crate::cluster::control_plane::{AUDIENCE, ControlPlane, ISSUER};

/// Each of them, on each call.
pub(crate) fn invalid(cluster: &ControlPlane, agents: &Agents) -> Result<String> {
    let good = cluster.token("ops", "reader", AUDIENCE)?;
    let (head, signature) = good.rsplit_once('.').context("a token has three parts")?;
    let changed: String = signature.chars().rev().collect();
    let callers = [
        ("without a token", Who::default()),
        ("with garbage", Who::token("garbage")),
        ("with a garbled JWT", Who::token("a.b.c")),
        ("with another's signature", Who::token(&format!("{head}.{changed}"))),
        ("with a token for the API server", Who::token(&cluster.token("ops", "reader", ISSUER)?)),
        ("with a token for another service", Who::token(&cluster.token("ops", "reader", "other")?)),
        (
            "with a password",
            Who { headers: vec!["authorization: Basic amFuZTpqYW5l".to_owned()], ..Who::default() },
        ),
    ];
    for (how, who) in &callers {
        for (call, _) in Call::all() {
            let reply = agents.first().call(who, &call)?;
            ensure!(reply.code == UNAUTHENTICATED, "{} {how} ended with {}", call.name(), reply.code);
            ensure!(reply.pods().is_empty(), "{} {how} tells of {:?}", call.name(), reply.pods());
        }
    }
    let reply = agents.first().call(&Who::token(&good), &Call::query(&[]))?;
    ensure!(reply.code == OK, "the good one is not taken: {}", reply.code);
    Ok(format!("{} kinds", callers.len()))
}

/// Tokens as kubeconfigs hold them, on the agent that takes them.
pub(crate) fn of_api_server(cluster: &ControlPlane, agents: &Agents) -> Result<String> {
    for (audience, code) in [(ISSUER, OK), (AUDIENCE, OK), ("other", UNAUTHENTICATED)] {
        let who = Who::token(&cluster.token("ops", "reader", audience)?);
        let reply = agents.second().call(&who, &Call::query(&[]))?;
        ensure!(reply.code == code, "a token for {audience} ended with {}", reply.code);
    }
    Ok("taken where the config says so".to_owned())
}

/// A token of the API server's own making, as it will be when its time is over.
pub(crate) fn expired(cluster: &ControlPlane, agents: &Agents) -> Result<String> {
    let token = cluster.token("ops", "reader", AUDIENCE)?;
    let payload = token.split('.').nth(1).context("a token has three parts")?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload)?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    for (exp, code) in [(now + 600, OK), (now - 60, UNAUTHENTICATED)] {
        let mut claims = claims.clone();
        (claims["exp"], claims["iat"], claims["nbf"]) =
            (exp.into(), (exp - 3600).into(), (exp - 3600).into());
        let token = sign(&cluster.token_key, &claims)?;
        let reply = agents.first().call(&Who::token(&token), &Call::query(&[]))?;
        ensure!(reply.code == code, "a token until {exp} at {now} ended with {}", reply.code);
    }
    Ok("good a minute ago, and not now".to_owned())
}

/// A JWT with these claims.
fn sign(key: &KeyPair, claims: &Value) -> Result<String> {
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = raw(&key.sign(signed.as_bytes())?).context("a signature in DER")?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

/// The two numbers of an ECDSA signature in DER, each as 32 bytes.
fn raw(der: &[u8]) -> Option<Vec<u8>> {
    let [0x30, _, numbers @ ..] = der else { return None };
    let mut rest = numbers;
    let mut raw = Vec::with_capacity(64);
    for _ in 0..2 {
        let [0x02, length, after @ ..] = rest else { return None };
        let (number, after) = after.split_at_checked(usize::from(*length))?;
        let number = number.strip_prefix(&[0]).filter(|short| short.len() <= 32).unwrap_or(number);
        raw.extend(std::iter::repeat_n(0, 32_usize.checked_sub(number.len())?));
        raw.extend_from_slice(number);
        rest = after;
    }
    Some(raw)
}
