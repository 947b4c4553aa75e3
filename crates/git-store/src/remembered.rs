//! Answers that are dear to find and stay true: of a commit, never of a branch.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers kept; each is bounded where it is made.
const ANSWERS_MAX: usize = 128;

type Answer = Arc<dyn Any + Send + Sync>;

/// The answers that were asked for last. The question names the repository.
#[derive(Default)]
pub(crate) struct Remembered {
    answers: Mutex<VecDeque<(String, Answer)>>,
}

impl Remembered {
    pub(crate) fn get<T: Send + Sync + 'static>(&self, question: &str) -> Option<Arc<T>> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let at = answers.iter().position(|(asked, _)| asked == question)?;
        let found = answers.remove(at)?;
        let answer = found.1.clone().downcast().ok();
        answers.push_back(found);
        answer
    }

    pub(crate) fn keep<T: Send + Sync + 'static>(&self, question: String, answer: Arc<T>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|(asked, _)| *asked != question);
        answers.push_back((question, answer));
        while answers.len() > ANSWERS_MAX {
            answers.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_asked_for_last_stay() {
        let remembered = Remembered::default();
        for n in 0..ANSWERS_MAX {
            remembered.keep(format!("q{n}"), Arc::new(n));
        }
        assert_eq!(remembered.get::<usize>("q0").as_deref(), Some(&0));
        remembered.keep("new".into(), Arc::new(7usize));
        assert_eq!(remembered.get::<usize>("q0").as_deref(), Some(&0), "it was asked for");
        assert!(remembered.get::<usize>("q1").is_none(), "it was not");
        assert!(remembered.get::<String>("new").is_none(), "an answer of another kind is none");
    }
}
