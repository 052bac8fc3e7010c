//! What a terminal gets: colours, bars that fit, and log text that can't do anything to it.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::program::Weir;
use crate::sample::{Tree, cri};

/// Runs `weir` with a terminal of so many columns as standard output, and gives what the terminal got.
fn on_a_terminal(weir: Weir, columns: u16) -> String {
    let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&control).expect("a pseudo-terminal");
    unlockpt(&control).expect("a pseudo-terminal");
    let name = ptsname(&control, Vec::new()).expect("a pseudo-terminal has a name");
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(OsStr::from_bytes(name.to_bytes()))
        .expect("the terminal can be opened");
    tcsetwinsize(&control, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
        .expect("a size");
    let mut child = weir
        .into_command()
        .stdin(Stdio::null())
        .stdout(terminal)
        .stderr(Stdio::inherit())
        .spawn()
        .expect("weir starts");
    let mut shown = Vec::new();
    let mut control = File::from(control);
    let mut chunk = [0; 4096];
    loop {
        match control.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => shown.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // How Linux says that nobody has the terminal open any more.
            Err(_) => break,
        }
    }
    assert!(child.wait().expect("weir ends").success());
    // The terminal's driver puts a carriage return before each newline.
    String::from_utf8(shown).expect("what is shown is text").replace("\r\n", "\n")
}

/// Escape sequences of our own: colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').expect("only colours are used").1)
}

#[test]
fn control_sequences_are_shown_not_obeyed() {
    let tree = Tree::new();
    let hostile: [&[u8]; 6] = [
        b"\x1b[2J\x1b[1;1Hcleared",
        b"\x1b]0;title\x07\x1b[31mred",
        b"back\x08\x08space\rreturn",
        b"c1 \xc2\x9b2J and \x9b2J",
        "rtl \u{202e}txt".as_bytes(),
        b"tab\there",
    ];
    tree.write("shop_web-0_u/app/0.log", cri(&hostile));
    let args = ["logs", "--dir", tree.arg(), "--all", "--columns", "message"];
    let expected = [
        r"\x1b[2J\x1b[1;1Hcleared",
        r"\x1b]0;title\x07\x1b[31mred",
        r"back\x08\x08space\rreturn",
        r"c1 \x9b2J and \x9b2J",
        r"rtl \u{202e}txt",
        "tab\there",
    ];
    let shown = on_a_terminal(Weir::new(args).env("NO_COLOR", "1"), 80);
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    let coloured = on_a_terminal(Weir::new(args), 80);
    assert_ne!(coloured, shown, "a terminal gets colours");
    assert_eq!(without_colours(&coloured).lines().collect::<Vec<_>>(), expected);
    // Into a pipe the bytes stay as they are.
    let piped = Weir::new(args).run().exits(0);
    assert_eq!(piped.bytes(), [hostile.join(&b'\n'), b"\n".to_vec()].concat());
}

/// A match may begin or end within what is shown as text; the rest stays marked.
#[test]
fn matches_with_controls_inside() {
    let tree = Tree::new();
    tree.write("shop_web-0_u/app/0.log", cri(&[b"an e\x1b[1mrro\x1b[0mr here"]));
    let args = ["logs", "--dir", tree.arg(), "-e", "error", "--columns", "message"];
    let shown = on_a_terminal(Weir::new(args), 80);
    assert_eq!(without_colours(&shown), "an e\\x1b[1mrro\\x1b[0mr here\n");
    assert!(shown.starts_with("an \u{1b}[1m\u{1b}[31me"), "{shown:?}");
}

#[test]
fn bars_fit_the_width() {
    let tree = Tree::sample();
    for columns in [40, 60, 120] {
        let args = ["logs", "--dir", tree.arg(), "--histogram", "10m"];
        let shown = on_a_terminal(Weir::new(args).env("NO_COLOR", "1"), columns);
        let widest = shown.lines().map(|line| line.chars().count()).max().expect("there are bars");
        assert!(widest <= usize::from(columns) && widest + 2 >= usize::from(columns), "{columns}: {shown}");
    }
}

#[test]
fn json_has_nothing_to_obey() {
    let tree = Tree::new();
    tree.write("shop_web-0_u/app/0.log", cri(&["\u{1b}[2J\u{9b}2J\u{202e}".as_bytes()]));
    let shown = on_a_terminal(Weir::new(["logs", "--dir", tree.arg(), "-o", "jsonl"]), 80);
    assert!(shown.contains(r#""message":"\u001b[2J\u009b2J\u202e""#), "{shown}");
}
