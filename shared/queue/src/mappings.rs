use std::fmt;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};
use domain::{BATCH_SIZE, MappingState, OnDemand, SqsQueue};

use crate::AdminError;

/// The event source mappings that feed our worker: who receives from which queue, and whether at the moment.
#[derive(Clone)]
pub struct Mappings {
    client: OnDemand<Client>,
    function: String,
}

impl fmt::Debug for Mappings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mappings").field("function", &self.function).finish_non_exhaustive()
    }
}

impl Mappings {
    /// Mappings to `function`, a Lambda function's name or ARN.
    pub fn new(client: impl Into<OnDemand<Client>>, function: String) -> Mappings {
        Mappings { client: client.into(), function }
    }

    /// Lets the worker receive from `queue`, ten messages at a time, and answers the mapping's UUID. A mapping that is
    /// there already is taken, whether paused or not, and put right if it would not read partial failures:
    /// without that, Lambda deletes what the worker gave back.
    ///
    /// # Errors
    /// [`AdminError::Missing`] without such a queue or function, [`AdminError::Denied`] where our role may not receive, one
    /// that is retryable while a former mapping is being deleted, and the rest.
    pub async fn attach(&self, queue: &SqsQueue) -> Result<String, AdminError> {
        const OPERATION: &str = "attach the worker to a queue";
        let call = self
            .client
            .create_event_source_mapping()
            .function_name(&self.function)
            .event_source_arn(queue.arn())
            .batch_size(batch_size())
            .function_response_types(FunctionResponseType::ReportBatchItemFailures)
            .enabled(true);
        match call.send().await {
            Ok(answer) => {
                answer.uuid.ok_or_else(|| AdminError::senseless(OPERATION, "the answer has no UUID"))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|refusal| refusal.is_resource_conflict_exception()) =>
            {
                match self.find(queue).await? {
                    // It goes in a minute or so. To take it now would be to have none then.
                    Some(mapping) if mapping.state() == Some("Deleting") => Err(AdminError::Refused {
                        operation: OPERATION,
                        code: "ResourceInUseException".to_owned(),
                        message: "its former mapping is still being deleted".to_owned(),
                        retryable: true,
                    }),
                    Some(mapping) => self.put_right(mapping).await,
                    None => Err(AdminError::from_call(OPERATION, &queue.arn(), error)),
                }
            }
            Err(error) => Err(AdminError::from_call(OPERATION, &format!("queue {}", queue.arn()), error)),
        }
    }

    async fn find(&self, queue: &SqsQueue) -> Result<Option<EventSourceMappingConfiguration>, AdminError> {
        let call = self.client.list_event_source_mappings();
        let answer = call.function_name(&self.function).event_source_arn(queue.arn()).send().await;
        let answer = answer.map_err(|error| AdminError::from_call("find a mapping", &queue.arn(), error))?;
        Ok(answer.event_source_mappings.unwrap_or_default().into_iter().next())
    }

    async fn put_right(&self, mapping: EventSourceMappingConfiguration) -> Result<String, AdminError> {
        const OPERATION: &str = "put a mapping right";
        let partial =
            mapping.function_response_types().contains(&FunctionResponseType::ReportBatchItemFailures);
        let sized = mapping.batch_size() == Some(batch_size());
        let uuid = mapping.uuid.ok_or_else(|| AdminError::senseless(OPERATION, "the answer has no UUID"))?;
        if !(partial && sized) {
            let call = self.client.update_event_source_mapping().uuid(&uuid).batch_size(batch_size());
            let done =
                call.function_response_types(FunctionResponseType::ReportBatchItemFailures).send().await;
            done.map_err(|error| AdminError::from_call(OPERATION, &mapping_of(&uuid), error))?;
        }
        Ok(uuid)
    }

    /// What a mapping is doing.
    ///
    /// # Errors
    /// [`AdminError::Missing`] and the rest.
    pub async fn state(&self, uuid: &str) -> Result<MappingState, AdminError> {
        let answer = self.client.get_event_source_mapping().uuid(uuid).send().await;
        let answer =
            answer.map_err(|error| AdminError::from_call("look at a mapping", &mapping_of(uuid), error))?;
        Ok(match answer.state() {
            Some("Enabled") => MappingState::Enabled,
            Some("Disabled") => MappingState::Disabled,
            // Creating, Enabling, Disabling, Updating, Deleting.
            _ => MappingState::Changing,
        })
    }

    /// Pauses a mapping or lets it go on. It takes a while: see [`Mappings::state`].
    ///
    /// # Errors
    /// [`AdminError::Missing`]; one that is retryable while the mapping is still changing; and the rest.
    pub async fn set_enabled(&self, uuid: &str, enabled: bool) -> Result<(), AdminError> {
        let done = self.client.update_event_source_mapping().uuid(uuid).enabled(enabled).send().await;
        done.map(|_| ()).map_err(|error| AdminError::from_call("switch a mapping", &mapping_of(uuid), error))
    }

    /// Takes the worker off the queue. A mapping that is gone already is no error.
    ///
    /// # Errors
    /// As [`Mappings::set_enabled`], never [`AdminError::Missing`].
    pub async fn detach(&self, uuid: &str) -> Result<(), AdminError> {
        let done = self.client.delete_event_source_mapping().uuid(uuid).send().await;
        match done.map_err(|error| AdminError::from_call("remove a mapping", &mapping_of(uuid), error)) {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }
}

fn batch_size() -> i32 {
    i32::try_from(BATCH_SIZE).expect("ten fits")
}

fn mapping_of(uuid: &str) -> String {
    format!("event source mapping {uuid}")
}
