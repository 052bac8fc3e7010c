//! `weir sources`, `weir filters`, completions and manual pages.

use serde_json::json;

use crate::program::{Weir, weir};
use crate::sample::{Tree, sample_time};

#[test]
fn sources() {
    let tree = Tree::sample();
    let outcome = weir(&["sources", "--dir", tree.arg()]).exits(0);
    let rows: Vec<Vec<&str>> = outcome.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["SOURCE", "RESTART", "FILES", "SIZE", "OLDEST", "NEWEST"]);
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[1][..3], ["ops:node-agent-x1/agent", "0", "1"]);
    assert_eq!(rows[2][..3], ["shop:api-0/app", "2", "1"]);
    assert_eq!(rows[3][..3], ["shop:web-0/nginx", "0", "2"]);
    assert_eq!(rows[3][5..], ["2026-11-24T10:00:00.000Z", "2026-11-24T10:57:00.000Z"]);

    let outcome = weir(&["sources", "--dir", tree.arg(), "-o", "jsonl", "/nginx"]).exits(0);
    let object = &outcome.objects()[0];
    assert_eq!(object["pod"], "web-0");
    assert_eq!((&object["oldest"], &object["newest"]), (&json!(sample_time(0)), &json!(sample_time(57))));
    assert_eq!(object["files"][1]["name"], "0.log");
    let sizes: u64 =
        object["files"].as_array().expect("a list").iter().filter_map(|file| file["size"].as_u64()).sum();
    assert_eq!(object["bytes"], sizes);

    let empty = Tree::new();
    weir(&["sources", "--dir", empty.arg()]).exits(0).says(&["no logs"]);
}

#[test]
fn filters() {
    let outcome = weir(&["filters"]).exits(0);
    for filter in weir_filters::all() {
        assert!(outcome.lines().iter().any(|line| line.starts_with(filter.name)), "{}", filter.name);
    }
    let outcome = weir(&["filters", "json-match"]).exits(0);
    let row = outcome.lines().into_iter().find(|line| line.starts_with("where")).expect("its parameter");
    assert!(row.contains("string") && row.contains("required"), "{row}");
    let outcome = weir(&["filters", "redact", "-o", "jsonl"]).exits(0);
    let object = &outcome.objects()[0];
    assert_eq!((&object["name"], &object["kind"]), (&json!("redact"), &json!("redact")));
    assert!(object["params_schema"]["properties"].is_object());
}

#[test]
fn completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(weir(&["completions", shell]).exits(0).stdout().contains("COMPLETE"), "{shell}");
    }
    assert!(weir(&["man"]).exits(0).stdout().contains(".SH SYNOPSIS"));
    let dir = Tree::new();
    weir(&["man", "--dir", dir.arg()]).exits(0);
    let page = std::fs::read_to_string(dir.path().join("weir-logs.1")).expect("a page for weir logs");
    assert!(page.contains("json") && page.contains("histogram"));
}

/// What bash offers where the cursor is behind a line, by the script that `weir completions` writes.
fn offered(line: &str) -> Vec<String> {
    offered_in(std::path::Path::new("."), line)
}

/// The same in a folder.
pub(crate) fn offered_in(dir: &std::path::Path, line: &str) -> Vec<String> {
    let script = weir(&["completions", "bash"]).exits(0).stdout().to_owned();
    // As readline takes a line apart; it keeps what stands before the last of these characters.
    let asked = r#"
        COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=9
        rest=$LINE COMP_WORDS=()
        while [[ -n $rest ]]; do
            case $rest in
                [[:space:]]*) rest=${rest#?} ; [[ -n $rest ]] || COMP_WORDS+=("") ;;
                [:=]*) COMP_WORDS+=("${rest:0:1}") ; rest=${rest#?} ; [[ -n $rest ]] || COMP_WORDS+=("") ;;
                *) word=${rest%%[[:space:]:=]*} ; COMP_WORDS+=("$word") ; rest=${rest#"$word"} ;;
            esac
        done
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _weir_joined weir "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_weir")).parent().expect("it is in a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("{script}\n{asked}")])
        .current_dir(dir)
        .env("LINE", line)
        .env("PATH", path.expect("folders that can be joined"))
        .output()
        .expect("bash runs");
    let told = String::from_utf8(output.stdout).expect("it is text");
    told.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn filters_and_their_parameters_are_completed() {
    assert_eq!(offered("weir logs --filter json-m"), ["json-match"]);
    assert_eq!(offered("weir logs --filter redact:mo"), ["mode=", "more_fields="]);
    assert_eq!(offered("weir logs -e x --filter redact:mode="), ["label", "hash", "mask"]);
    assert_eq!(offered("weir filter run redact:mode=label,ke"), ["label,key="]);
    assert_eq!(offered("weir filter bench redact a.log --compare redact:mode=l"), ["label"]);
    assert_eq!(offered("weir filter test time-w"), ["time-window"]);
    assert!(offered("weir filter ins").contains(&"inspect".to_owned()));
}

/// zsh and fish take no word apart, and ask for the last one.
#[test]
fn other_shells_complete_filters_too() {
    let ask = |shell: &str, line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let last = (words.len() - 1).to_string();
        let asked = Weir::new(["--"].iter().chain(&words)).env("COMPLETE", shell);
        let asked = asked.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_INDEX", &last).run().exits(0);
        asked.stdout().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (shell, separator, colon) in [("zsh", ':', "\\:"), ("fish", '\t', ":")] {
        let offers = |line: &str| -> Vec<String> {
            let found = ask(shell, line).into_iter();
            // Behind what is offered stands what it means.
            found
                .map(|it| it.replace(colon, "\0"))
                .map(|it| it.split(separator).next().unwrap_or_default().replace('\0', ":"))
                .collect()
        };
        assert_eq!(offers("weir logs --filter json-m"), ["json-match"], "{shell}");
        assert_eq!(
            offers("weir logs --filter redact:mo"),
            ["redact:mode=", "redact:more_fields="],
            "{shell}"
        );
        let modes = ["redact:mode=label", "redact:mode=hash", "redact:mode=mask"];
        assert_eq!(offers("weir logs -e x --filter redact:mode="), modes, "{shell}");
        assert_eq!(offers("weir filter run redact:mode=label,ke"), ["redact:mode=label,key="], "{shell}");
    }
    let zsh = weir(&["completions", "zsh"]).exits(0).stdout().to_owned();
    assert!(zsh.contains("_describe -V 'values' other -S ''\n"), "no space comes behind a name: {zsh}");
}
