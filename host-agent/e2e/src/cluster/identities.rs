//! Identities that somebody else has established: from a relay, and from whoever says so.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::certs::Signed;
use crate::cluster::agents::Agents;
use crate::cluster::call::{Call, OK, PERMISSION_DENIED, Who};
use crate::cluster::control_plane::ControlPlane;
use crate::cluster::objects::PODS;

/// Who passes these headers on, with a certificate or without.
fn passing(signed: Option<&Signed>, headers: &[&str]) -> Who {
    Who { headers: headers.iter().map(|header| (*header).to_owned()).collect(), signed: signed.cloned() }
}

/// What a relay says of callers is taken for true: user, groups, uid and extras.
pub(crate) fn from_relays(agents: &Agents) -> Result<String> {
    let cases: &[(&[&str], &[&str])] = &[
        (&["x-remote-user: jane"], &["shop"]),
        (&["x-remote-user: someone", "x-remote-group: readers"], &["bank"]),
        (&["x-remote-user: jane", "x-remote-group: dev", "x-remote-group: readers"], &["shop", "bank"]),
        (&["x-remote-user: system:serviceaccount:ops:reader"], &["ops"]),
        (
            &["x-remote-user: auditor", "x-remote-uid: u-7", "x-remote-extra-acme.com%2fteam: blue"],
            &["shop", "bank", "ops"],
        ),
        (&["x-remote-user: system:anonymous", "x-remote-group: system:unauthenticated"], &[]),
    ];
    for (headers, namespaces) in cases {
        for (call, code) in Call::all() {
            let reply = agents.first().call(&passing(Some(&agents.relay), headers), &call)?;
            let what = format!("{} with {headers:?}", call.name());
            ensure!(reply.code == code, "{what} ended with {}", reply.code);
            let sees = ["Query", "ListSources", "WatchSources"].contains(&call.name());
            let pods = PODS.iter().filter(|pod| sees && pod.node == 0 && namespaces.contains(&pod.namespace));
            let expected: Vec<&str> = pods.map(|pod| pod.name).collect();
            ensure!(reply.pods() == expected, "{what} tells of {:?}, not {expected:?}", reply.pods());
        }
    }
    Ok(format!("{} identities", cases.len()))
}

/// From anybody else they are refused, whatever comes with them.
pub(crate) fn from_others(agents: &Agents) -> Result<String> {
    let header = "x-remote-user: auditor";
    let token = "authorization: Bearer jane-token";
    let cases = [
        ("without a certificate", passing(None, &[header])),
        ("with another certificate", passing(Some(&agents.other), &[header])),
        ("with a token besides", passing(None, &[header, token])),
        ("with a group alone", passing(None, &["x-remote-group: system:masters", token])),
        ("with an extra alone", passing(Some(&agents.other), &["x-remote-extra-a: b", token])),
        ("of the relay, with a token besides", passing(Some(&agents.relay), &[header, token])),
        ("of the relay, without a user", passing(Some(&agents.relay), &["x-remote-group: readers"])),
        ("of the relay, with two users", passing(Some(&agents.relay), &[header, "x-remote-user: jane"])),
    ];
    for (how, who) in &cases {
        for (call, _) in Call::all() {
            let reply = agents.first().call(who, &call)?;
            ensure!(reply.code == PERMISSION_DENIED, "{} {how} ended with {}", call.name(), reply.code);
            ensure!(reply.pods().is_empty(), "{} {how} tells of {:?}", call.name(), reply.pods());
        }
    }
    // Another certificate with a token of its own is as good as none.
    let reply = agents.first().call(&passing(Some(&agents.other), &[token]), &Call::query(&["shop:"]))?;
    ensure!(reply.code == OK, "a token with a certificate ended with {}", reply.code);
    Ok(format!("{} ways", cases.len()))
}

/// The API server was asked about all that an identity consists of, and never with a verb that isn't reading.
pub(crate) fn as_reviewed(cluster: &ControlPlane) -> Result<String> {
    let reviews = cluster.reviews()?;
    let read = json!({"verb": "get", "version": "v1", "resource": "pods", "subresource": "log"});
    let upload = json!({"verb": "upload", "group": "weir.dev", "version": "v1alpha1", "resource": "filters"});
    for review in &reviews {
        let attributes = review["resourceAttributes"].as_object().context("a review of a resource")?;
        let asked = if attributes.contains_key("group") { &upload } else { &read };
        let known = asked.as_object().context("it is one")?.iter();
        ensure!(known.clone().all(|(key, value)| attributes.get(key) == Some(value)), "asked for {review}");
        let others = attributes
            .keys()
            .all(|key| asked.get(key).is_some() || ["namespace", "name"].contains(&key.as_str()));
        ensure!(others && review["nonResourceAttributes"].is_null(), "asked for {review}");
    }
    for (what, user, uid, groups, extra) in [
        ("of a relay", "auditor", json!("u-7"), json!([]), json!({"acme.com/team": ["blue"]})),
        (
            "of the list",
            "jane",
            json!("uid-jane"),
            json!(["dev", "staff", "system:authenticated"]),
            json!({}),
        ),
    ] {
        let is_it = reviews.iter().any(|review| {
            let or_empty =
                |value: &serde_json::Value, empty| if value.is_null() { empty } else { value.clone() };
            review["user"] == user
                && review["uid"] == uid
                && or_empty(&review["groups"], json!([])) == groups
                && or_empty(&review["extra"], json!({})) == extra
        });
        ensure!(is_it, "no review of {user} {what} with uid {uid}, groups {groups} and extras {extra}");
    }
    let account = reviews
        .iter()
        .find(|review| review["user"] == "system:serviceaccount:ops:reader" && !review["extra"].is_null());
    let account = account.context("no review of a service account with its extras")?;
    ensure!(account["extra"]["authentication.kubernetes.io/credential-id"].is_array(), "{account}");
    Ok(format!("{} reviews", reviews.len()))
}
