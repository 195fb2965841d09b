#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use clap::CommandFactory;

#[test]
fn the_command_line_is_sound_and_its_defaults_are_the_documented_ones() {
    Args::command().debug_assert();
    let Args { command, house } = Args::try_parse_from(["queuelink"]).unwrap();
    assert!(command.is_none());
    assert_eq!(house.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(house.data_dir, PathBuf::from(".queuelink"));
    assert_eq!(house.handlers_dir, PathBuf::from("infra/handlers"));
    assert!(!house.no_samples && !house.fast);
    let args = Args::try_parse_from(["queuelink", "key", "create", "--stack", "mine"]).unwrap();
    let Some(Command::Key(KeyCommand::Create { stack, label, scopes })) = args.command else { panic!() };
    assert_eq!((stack.stack.as_str(), stack.region), ("mine", None));
    assert_eq!((label.as_str(), scopes), ("first key", vec![Scope::Everything]));
}

#[test]
fn what_is_not_understood_is_refused() {
    for wrong in [
        &["--listen", "8787"][..],
        &["--listen", "localhost"],
        &["--samples"],
        &["extra"],
        &["--data-dir"],
        &["key"],
        &["key", "create"],
        &["key", "create", "--stack", "s", "--scope", "everything"],
        &["key", "create", "--stack", "s", "--label", " "],
        &["key", "create", "--stack", "s", "--label", "a\nb"],
        &["--fast", "key", "create", "--stack", "s"],
        &["package", "push"],
        &["package", "push", "shop", "--api", "http://127.0.0.1:1"],
        &["package", "push", "shop", "--key-file", "key"],
        &["package", "push", "shop", "--api", "u", "--key-file", "key", "--data-dir", "d"],
        &["destroy"],
        &["destroy", "--stack", "s", "--fast"],
    ] {
        assert!(Args::try_parse_from([&["queuelink"], wrong].concat()).is_err(), "{wrong:?}");
    }
}

#[test]
fn only_the_name_of_the_stack_confirms() {
    let check = |typed: &str, expect: bool| {
        assert_eq!(confirmed("mine", &mut typed.as_bytes()).unwrap(), expect, "{typed:?}");
    };
    check("mine\n", true);
    check("mine", true);
    for other in ["", "\n", "y\n", "yes\n", "mine2\n", "Mine\n"] {
        check(other, false);
    }
}
