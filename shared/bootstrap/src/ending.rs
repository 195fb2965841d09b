use std::error::Error;
use std::process::ExitCode;

/// The last line of every main: `ended` as an exit code, and an error as one plain sentence with its causes on standard
/// error. What a main returns by itself would be printed in Rust's own notation.
pub fn exit_code(ended: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", domain::causes(&*error));
            ExitCode::FAILURE
        }
    }
}
