//! What a policy costs a search: most lines of the log are none that it may change.

use std::fs;
use std::path::Path;

use weir_query::QuerySpec;

use crate::agent::{Agent, matching};
use crate::filters::{Logs, counted_of, nanoseconds, rare_message};
use crate::tree::text;
use crate::{Setup, table};

/// Bytes of the log.
const BYTES: usize = 256 << 20;

/// The value of a field in one of 1000 lines.
const RARE: &str = "ord-77777";

/// Measures and prints.
pub(crate) fn print(setup: &Setup) {
    table::head(
        "A search under a redacting policy",
        "CPU time of the agent in ms for a query that counts, over 256 MiB, the best of 5. One line of 1000 has the literal; \
         each has an IP address, and 16 hexadecimal digits that may be a card number.",
        &["policy", "search", "without", "under it", "ratio", "of lines rewritten"],
    );
    let scratch = setup.scratch.join("policies");
    let logs = Logs::new(&scratch, BYTES, Some(rare_message));
    let open = Agent::start(&setup.agent, &logs.folder, &scratch.join("open"));
    for (number, (what, params)) in [
        ("`redact` of e-mail addresses", "{detectors: [email]}"),
        ("`redact` of passwords, tokens and keys", "{except: [card, email, ipv4, ipv6]}"),
        ("`redact` of all but IP addresses", "{except: [ipv4, ipv6]}"),
        ("`redact` of everything", "{}"),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = scratch.join(format!("policy-{number}"));
        let covered = start(&setup.agent, &logs.folder, &dir, params);
        for (search, spec) in [("a literal", matching(RARE)), ("every line", QuerySpec::default())] {
            let (without, under) = (counted_of(&open, spec.clone()), counted_of(&covered, spec));
            assert_eq!(without.matched, under.matched, "{what}: no literal is taken out");
            let [without, cpu] = [without.cpu, under.cpu].map(|cpu| nanoseconds(cpu) / 1e6);
            table::row(&[
                what,
                search,
                &format!("{without:.1}"),
                &format!("{cpu:.1}"),
                &format!("{:.2}", cpu / without),
                &under.redacted.to_string(),
            ]);
        }
    }
}

/// An agent with one policy on all that it has.
fn start(program: &Path, logs: &Path, dir: &Path, params: &str) -> Agent {
    let policies = dir.join("policies");
    fs::create_dir_all(&policies).expect("a folder");
    let policy = format!("filters: [{{name: redact, params: {params}}}]\n");
    fs::write(policies.join("bench.yaml"), policy).expect("a file");
    Agent::start_with(program, logs, dir, &format!("policies: {{folder: {}}}\n", text(&policies)))
}
