use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use queue::{Accepted, SendError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{ANSWERED_WITHIN, kind, until};

pub(crate) type Answer = (String, Result<Accepted, SendError>);

/// Callers who publish one message after the other, all at once, until told to stop.
pub(crate) struct Storm {
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    callers: JoinSet<Vec<Answer>>,
}

impl Storm {
    /// `send` is told the message's id.
    pub(crate) fn begin<F>(callers: usize, send: impl Fn(String) -> F + Clone + Send + 'static) -> Storm
    where
        F: Future<Output = Result<Accepted, SendError>> + Send,
    {
        let (over, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut storm = JoinSet::new();
        for caller in 0..callers {
            let (over, accepted, send) = (Arc::clone(&over), Arc::clone(&accepted), send.clone());
            storm.spawn(async move {
                let mut answers = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let id = format!("c{caller}-{}", answers.len());
                    let answer = timeout(ANSWERED_WITHIN, send(id.clone())).await;
                    let answer = answer.unwrap_or_else(|_| panic!("{id}: no answer in time"));
                    accepted.fetch_add(usize::from(answer.is_ok()), Ordering::Relaxed);
                    answers.push((id, answer));
                }
                answers
            });
        }
        Storm { over, accepted, callers: storm }
    }

    /// Waits until so many more messages were accepted.
    pub(crate) async fn accepted(&self, more: usize) {
        let least = self.accepted.load(Ordering::Relaxed) + more;
        until("messages are accepted", || self.accepted.load(Ordering::Relaxed) >= least).await;
    }

    pub(crate) async fn end(self) -> Vec<Answer> {
        self.over.store(true, Ordering::Relaxed);
        self.callers.join_all().await.into_iter().flatten().collect()
    }
}

/// Whatever was accepted is there, whatever is called refused or unreachable is not; how often each was told.
pub(crate) fn told_the_truth(answers: &[Answer], there: &[String]) -> HashMap<&'static str, usize> {
    let ids: HashSet<&str> = there.iter().map(String::as_str).collect();
    let mut told: HashMap<&'static str, usize> = HashMap::new();
    for (id, answer) in answers {
        *told.entry(kind(answer)).or_default() += 1;
        match answer {
            Ok(_) => assert!(ids.contains(id.as_str()), "{id} is lost"),
            Err(SendError::Unanswered { .. }) => {}
            Err(error) => assert!(!ids.contains(id.as_str()), "{id} is there, though {error}"),
        }
    }
    println!("told: {told:?}, there: {}, of them once only: {}", there.len(), ids.len());
    told
}
