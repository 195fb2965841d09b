//! Commands for an installation on AWS, run on one's own machine and by one's own AWS rights.
//!
//! They do what `queue-admin` does, on what its configuration there names: table names are asked for, never guessed, and
//! nothing of a stack is kept here.

mod destroy;
mod error;

use aws_sdk_lambda::error::ProvideErrorMetadata;
use bootstrap::{Aws, Environment};
use domain::{Scopes, Secret, causes};
use queue_admin::AdminState;

pub use destroy::{Leaving, destroy};
pub use error::StackError;

/// What comes from the person who runs the command, never from the function's configuration.
const OWN: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_SQS",
    "TRUST_STORE",
];

/// A stack, found by its name.
#[derive(Clone)]
pub struct Stack {
    /// Its name, as CloudFormation knows it.
    pub name: String,
    /// Where it is.
    pub region: String,
    admin: AdminState,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("name", &self.name)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Stack {
    /// Finds the stack `name` in `region`, else in that of `AWS_REGION` or `AWS_DEFAULT_REGION`, with the credentials of
    /// `environment`, by the configuration of its function `<name>-queue-admin`.
    ///
    /// # Errors
    /// [`StackError`]: credentials are missing or refused, there is no such stack, or it is not one of ours.
    pub async fn find(
        environment: &Environment,
        name: &str,
        region: Option<&str>,
    ) -> Result<Stack, StackError> {
        let region = region.or(environment.get("AWS_REGION")).or(environment.get("AWS_DEFAULT_REGION"));
        let own = OWN.iter().filter_map(|name| Some((*name, environment.get(name)?)));
        let own: Vec<(&str, &str)> = own.chain(region.map(|region| ("AWS_REGION", region))).collect();

        let caller = Environment::from_iter(own.iter().copied());
        let mut reader = caller.reader();
        let aws = Aws::read_caller(&mut reader);
        reader.finish()?;

        let function = format!("{name}-queue-admin");
        let asked = aws.lambda().get_function_configuration().function_name(&function).send().await;
        let answer = asked.map_err(|error| {
            let said = [causes(&error).as_str(), error.message().unwrap_or_default()].join(" ");
            StackError::from_lambda(error.code(), &function, &aws.region, said.trim_end())
        })?;
        let configured = answer.environment.and_then(|environment| environment.variables).unwrap_or_default();
        let theirs = configured.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let theirs = theirs.filter(|(name, _)| !name.starts_with("AWS_") && !OWN.contains(name));
        let admin = AdminState::read(&Environment::from_iter(theirs.chain(own)))
            .map_err(|source| StackError::NotOurs { function: function.clone(), source })?;
        if admin.settings.stack != name {
            return Err(StackError::Another { function, stack: admin.settings.stack });
        }
        Ok(Stack { name: name.to_owned(), region: aws.region, admin })
    }

    /// Makes an API key and answers its text, which is kept nowhere.
    ///
    /// # Errors
    /// [`StackError::Key`].
    pub async fn create_key(&self, label: &str, scopes: Scopes) -> Result<Secret, StackError> {
        let now = self.admin.clock.now();
        crate::key::create(&self.admin.catalog, label, scopes, now).await.map_err(StackError::Key)
    }
}
