//! What changes while the agents run: pods, roles, accounts, their own credentials, and an API server that goes and comes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::cluster::agents::{Agents, UNAVAILABLE_SECONDS, replace};
use crate::cluster::call::{Call, OK, PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE, Who};
use crate::cluster::control_plane::{AUDIENCE, ControlPlane, ISSUER};
use crate::cluster::rights::user;
use crate::wait;

/// How long a change may take to show.
const SHOWS: Duration = Duration::from_secs(20);

/// Has a pod appear on the first node, whose log says `canary`.
fn appear(agents: &Agents, namespace: &str, pod: &str, canary: &str) -> Result<()> {
    let dir = agents.node(0).join(format!("logs/{namespace}_{pod}_10000000-0000-0000-0000-000000000000/app"));
    fs::create_dir_all(&dir)?;
    replace(&dir.join("0.log"), format!("2026-11-24T11:00:00Z stdout F {canary}\n"))
}

/// A follow of all namespaces takes pods that come, where they may be read.
pub(crate) fn new_pods(agents: &Agents) -> Result<String> {
    let mut jane = agents.first().last(&user("jane"), &Call::follow(&[]))?;
    let mut auditor = agents.first().last(&user("auditor"), &Call::follow(&[]))?;
    for follow in [&mut jane, &mut auditor] {
        wait::until("the past was given", SHOWS, || {
            follow.alive()?;
            Ok(follow.holds("canary-of-web-1")?.then_some(()))
        })?;
    }
    appear(agents, "bank", "vault-1", "canary-of-vault")?;
    wait::until("who may read it sees it", SHOWS, || Ok(auditor.holds("canary-of-vault")?.then_some(())))?;
    // What comes behind it comes to jane, too.
    appear(agents, "shop", "till-1", "canary-of-till")?;
    wait::until("jane sees her own", SHOWS, || Ok(jane.holds("canary-of-till")?.then_some(())))?;
    ensure!(!jane.holds("vault")?, "jane learns of a pod that she may not read");
    Ok("one is seen by one of two, another by both".to_owned())
}

/// Who may not read any more what is followed, or watched, learns that with the end of it.
pub(crate) fn role_taken(cluster: &ControlPlane, agents: &Agents) -> Result<String> {
    let leaver = Who::token(&cluster.token("shop", "leaver", AUDIENCE)?);
    let lasting = ends(agents, &leaver, || {
        cluster.delete("/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/leaver")
    })?;
    ensure!(lasting == [PERMISSION_DENIED; 2], "they ended with {lasting:?}");
    Ok("a follow and a watch end".to_owned())
}

/// The same of an account that is no more.
pub(crate) fn account_deleted(cluster: &ControlPlane, agents: &Agents) -> Result<String> {
    let goner = Who::token(&cluster.token("shop", "goner", AUDIENCE)?);
    let lasting = ends(agents, &goner, || cluster.delete("/api/v1/namespaces/shop/serviceaccounts/goner"))?;
    ensure!(lasting == [UNAUTHENTICATED; 2], "they ended with {lasting:?}");
    Ok("a follow and a watch end".to_owned())
}

/// The codes with which a follow and a watch end after a change.
fn ends(agents: &Agents, who: &Who, change: impl Fn() -> Result<()>) -> Result<Vec<u32>> {
    let mut lasting = Vec::new();
    for call in [Call::follow(&["shop:"]), Call::watch_sources(&["shop:"])] {
        let mut call = agents.first().last(who, &call)?;
        wait::until("it has begun", SHOWS, || {
            call.alive()?;
            Ok(call.holds("web-1")?.then_some(()))
        })?;
        lasting.push(call);
    }
    change()?;
    lasting.into_iter().map(|call| Ok(call.end(SHOWS)?.code)).collect()
}

/// The second agent's token and roots are replaced, by some that can't be used and by new ones.
pub(crate) fn rotation(cluster: &ControlPlane, agents: &Agents) -> Result<String> {
    let (token, ca) = (agents.node(1).join("token"), agents.node(1).join("api-ca.pem"));
    let roots = fs::read(&ca)?;
    let becomes = |what: &str, code: u32| {
        wait::until(&format!("queries end with {code} after {what}"), SHOWS, || {
            let reply = agents.callees[1].call(&user("jane"), &Call::query(&["shop:"]))?;
            Ok((reply.code == code).then_some(()))
        })
    };
    becomes("nothing has changed", OK)?;
    replace(&token, "no token of anybody")?;
    becomes("the token is replaced by garbage", UNAVAILABLE)?;
    replace(&token, cluster.token("weir", "agent", ISSUER)?)?;
    becomes("the token is replaced by a new one", OK)?;
    replace(&ca, fs::read(Path::new(&agents.node(0)).with_file_name("clients.pem"))?)?;
    becomes("the roots are replaced by others", UNAVAILABLE)?;
    replace(&ca, roots)?;
    becomes("the right roots are back", OK)?;
    Ok("4 changes".to_owned())
}

/// While the API server is away, what runs goes on for a while and what begins is refused, as something that can't be
/// told and not as something that isn't allowed.
pub(crate) fn outage(cluster: &mut ControlPlane, agents: &Agents) -> Result<String> {
    let agent = agents.first();
    let mut follow = agent.last(&user("jane"), &Call::follow(&["shop:"]))?;
    wait::until("the past was given", SHOWS, || Ok(follow.holds("canary-of-web-1")?.then_some(())))?;
    cluster.stop_api_server()?;
    wait::until("queries can't be answered", SHOWS, || {
        let reply = agent.call(&user("jane"), &Call::query(&["shop:"]))?;
        ensure!([OK, UNAVAILABLE].contains(&reply.code), "a query ended with {}", reply.code);
        Ok((reply.code == UNAVAILABLE).then_some(()))
    })?;
    for (call, _) in Call::all() {
        let reply = agent.call(&user("gina"), &call)?;
        ensure!(reply.code == UNAVAILABLE, "{} ended with {}", call.name(), reply.code);
    }
    appear(agents, "shop", "lamp-1", "canary-of-lamp")?;
    follow.alive()?;
    cluster.start_api_server()?;
    wait::until("queries are answered again", SHOWS, || {
        let reply = agent.call(&user("jane"), &Call::query(&["shop:"]))?;
        Ok((reply.code == OK).then_some(()))
    })?;
    follow.alive()?;
    wait::until("the pod that came meanwhile is seen", SHOWS, || {
        Ok(follow.holds("canary-of-lamp")?.then_some(()))
    })?;

    cluster.stop_api_server()?;
    let reply = follow.end(Duration::from_secs(2 * UNAVAILABLE_SECONDS))?;
    ensure!(reply.code == UNAVAILABLE, "the follow ended with {}", reply.code);
    cluster.start_api_server()?;
    Ok(format!("a follow outlasts a short one, and not one of {UNAVAILABLE_SECONDS} s"))
}
