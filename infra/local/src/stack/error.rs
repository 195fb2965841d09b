use bootstrap::ConfigError;
use domain::causes;
use zstorage::CatalogError;

/// Why a command for a stack did not do what it should. Each reads as one sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// No credentials, or no region.
    #[error(
        "{0}; this command acts by your own AWS rights: run eval \"$(aws configure export-credentials --format env)\" \
         before it, and name the region by --region or AWS_REGION"
    )]
    Environment(#[from] ConfigError),
    /// AWS does not know the credentials, or not any more.
    #[error(
        "AWS refused the credentials ({code}); get them anew by \
         eval \"$(aws configure export-credentials --format env)\""
    )]
    Credentials {
        /// AWS's word for it.
        code: String,
    },
    /// There is no such function.
    #[error(
        "there is no function {function} in {region}: is this the name of the stack as it was deployed, and its region?"
    )]
    NoStack {
        /// The function that every stack has.
        function: String,
        /// Where it was looked for.
        region: String,
    },
    /// The caller's rights do not reach.
    #[error("your AWS identity may not read the function {0}: it needs lambda:GetFunctionConfiguration")]
    Denied(String),
    /// Lambda did not answer, or otherwise than expected.
    #[error("the function {function} could not be looked at in {region}: {said}")]
    Lambda {
        /// The function that every stack has.
        function: String,
        /// Where it was looked for.
        region: String,
        /// What the SDK says.
        said: String,
    },
    /// A function of this name, but not with the configuration of ours.
    #[error("the function {function} is not that of a Queuelink stack, or of another release: {source}")]
    NotOurs {
        /// The function.
        function: String,
        /// What its configuration lacks.
        #[source]
        source: bootstrap::StartError,
    },
    /// A function of this name that belongs to another stack.
    #[error("the function {function} belongs to the stack {stack}; name that one")]
    Another {
        /// The function.
        function: String,
        /// What it says it belongs to.
        stack: String,
    },
    /// The key was not made.
    #[error("the key was not made: {}; it needs dynamodb:PutItem on the stack's Catalog table", causes(.0))]
    Key(#[source] CatalogError),
    /// The registry could not be read.
    #[error("the queues of the stack could not be listed: {}; it needs dynamodb:Query on its Catalog table", causes(.0))]
    List(#[source] CatalogError),
    /// Some queues are still there.
    #[error("{left} of {all} queues could not be removed; the same command goes on where this one ended")]
    Remain {
        /// Queues that are still there, whole or in part.
        left: usize,
        /// Queues that were to go.
        all: usize,
    },
}

impl StackError {
    pub(super) fn from_lambda(code: Option<&str>, function: &str, region: &str, said: &str) -> StackError {
        let (function, region) = (function.to_owned(), region.to_owned());
        match code {
            Some("ResourceNotFoundException") => StackError::NoStack { function, region },
            Some("AccessDeniedException" | "AccessDenied") => StackError::Denied(function),
            Some(
                code @ ("UnrecognizedClientException"
                | "InvalidSignatureException"
                | "ExpiredTokenException"
                | "ExpiredToken"
                | "InvalidClientTokenId"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "IncompleteSignature"),
            ) => StackError::Credentials { code: code.to_owned() },
            _ => StackError::Lambda { function, region, said: said.to_owned() },
        }
    }
}
