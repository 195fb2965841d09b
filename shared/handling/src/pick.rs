//! Which handler a message gets.

use domain::{DeadReason, HandlerName, PackageName, check_body, handler_field};
use lua_host::ResolveError;
use serde_json::Value;

use crate::handlers::Unresolved;

/// The code of a body that no handler can ever be given, whatever is released.
pub(crate) const BAD_BODY: &str = "bad-body";

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Nothing,
    Handler(String),
    /// Its `handler` is no name; what it is instead.
    Nonsense(String),
}

/// Why no handler is picked.
#[derive(Debug)]
pub(crate) enum NotPicked {
    /// It may be one of this package, which could not be loaded.
    Waits(PackageName),
    /// Nobody can ever handle the message.
    Poison(DeadReason),
}

/// The full name of the handler for a message with this `body` on a queue with this default, as `resolve` knows the handlers; or
/// why there is none.
///
/// The body's own top-level field `handler` decides; where that is missing or names nothing we have, the queue's
/// default; where there is none either, nobody can ever handle the message. A name that several handlers have is not unknown: the
/// default, which is meant for something else, does not take it.
pub(crate) fn pick<'b>(
    resolve: impl Fn(&str) -> Result<&'b str, Unresolved>,
    body: &str,
    default: Option<&HandlerName>,
) -> Result<&'b str, NotPicked> {
    let poison = |code: &str, message: String| Err(NotPicked::Poison(DeadReason::new(code, message)));
    if let Err(faults) = check_body(body) {
        return poison(BAD_BODY, format!("no handler can be given this body: {faults}"));
    }
    let (code, why) = match asked(body) {
        Asked::Handler(name) => match resolve(&name) {
            Ok(handler) => return Ok(handler),
            Err(Unresolved::Waits(package)) => return Err(NotPicked::Waits(package)),
            Err(Unresolved::No(error @ ResolveError::Ambiguous { .. })) => {
                return poison("unknown-handler", error.to_string());
            }
            Err(Unresolved::No(error)) => ("unknown-handler", error.to_string()),
        },
        Asked::Nonsense(what) => {
            ("unknown-handler", format!("the body's handler is no handler's name: {what}"))
        }
        Asked::Nothing => ("no-handler", "the body names no handler".to_owned()),
    };
    match default.map(|name| resolve(name.as_str())) {
        Some(Ok(handler)) => Ok(handler),
        Some(Err(Unresolved::Waits(package))) => Err(NotPicked::Waits(package)),
        Some(Err(Unresolved::No(error))) => {
            poison(code, format!("{why}; and the queue's default does not help: {error}"))
        }
        None => poison(code, format!("{why}; and the queue has no default handler")),
    }
}

/// What `body`, which is JSON, asks for.
fn asked(body: &str) -> Asked {
    match handler_field(body) {
        None => Asked::Nothing,
        Some(Value::String(name)) => match HandlerName::parse(&name) {
            Ok(_) => Asked::Handler(name),
            Err(_) => Asked::Nonsense(format!("{:?}", name.chars().take(80).collect::<String>())),
        },
        Some(other) => Asked::Nonsense(other.to_string().chars().take(80).collect()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use lua_host::Bundle;

    fn bundle() -> Bundle {
        let names = ["on-boarding/signup", "a/send", "b/send"];
        Bundle::from_sources(names.map(|name| (format!("{name}.luau"), "return function() end".to_owned())))
            .unwrap()
    }

    fn picked<'b>(
        bundle: &'b Bundle,
        body: &str,
        default: Option<&HandlerName>,
    ) -> Result<&'b str, DeadReason> {
        let picked = pick(|name| bundle.resolve(name).map_err(Unresolved::No), body, default);
        picked.map_err(|error| match error {
            NotPicked::Poison(reason) => reason,
            NotPicked::Waits(package) => panic!("nothing waits here, but {package}"),
        })
    }

    /// `expect`: the handler, or the code of the reason.
    fn check(body: &str, default: Option<&str>, expect: Result<&str, &str>) {
        let default = default.map(|name| HandlerName::parse(name).unwrap());
        let bundle = bundle();
        let picked = picked(&bundle, body, default.as_ref());
        assert_eq!(
            picked.as_ref().map(|name| *name).map_err(|r| r.code.as_str()),
            expect,
            "{body}: {picked:?}"
        );
    }

    #[test]
    fn the_body_decides_then_the_default_then_nobody() {
        check(r#"{"handler":"signup"}"#, None, Ok("on-boarding/signup"));
        check(r#"{"handler":"on-boarding/signup"}"#, Some("a/send"), Ok("on-boarding/signup"));
        check(r#"{"x":1}"#, Some("a/send"), Ok("a/send"));
        check(r#"{"x":1}"#, Some("signup"), Ok("on-boarding/signup"));
        check(r#"{"handler":"nobody"}"#, Some("a/send"), Ok("a/send"));
        check(r#"{"handler":null}"#, Some("a/send"), Ok("a/send"));
        check(r#"{"handler":7}"#, Some("a/send"), Ok("a/send"));
        check(r#"{"handler":"../../etc/passwd"}"#, Some("a/send"), Ok("a/send"));
        check("[1]", Some("a/send"), Ok("a/send"));
        check("7", Some("a/send"), Ok("a/send"));
        check(r#"{"x":1}"#, None, Err("no-handler"));
        check(r#"{"x":1}"#, Some("gone"), Err("no-handler"));
        check(r#"["signup"]"#, None, Err("no-handler"));
        check(r#"{"handler":"nobody"}"#, None, Err("unknown-handler"));
        check(r#"{"handler":"send"}"#, None, Err("unknown-handler"));
        check(r#"{"handler":"send"}"#, Some("on-boarding/signup"), Err("unknown-handler"));
        check(r#"{"handler":{}}"#, None, Err("unknown-handler"));
    }

    #[test]
    fn what_is_not_json_is_poison_whatever_the_default() {
        for body in ["", "hello", "{", r#"{"a":1,"a":2}"#, &"[".repeat(100), "{\"n\":1e999}"] {
            check(body, Some("signup"), Err("bad-body"));
        }
    }

    #[test]
    fn a_body_may_be_as_deep_as_a_link_can_make_it() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(&deep(domain::MAX_BODY_DEPTH), Some("signup"), Ok("on-boarding/signup"));
        check(&deep(domain::MAX_BODY_DEPTH + 1), Some("signup"), Err("bad-body"));
    }

    #[test]
    fn a_reason_says_what_there_is_instead() {
        let reason = picked(&bundle(), r#"{"handler":"singup"}"#, None).unwrap_err();
        assert!(reason.message.contains("on-boarding/signup"), "{}", reason.message);
    }
}
