//! The beginning of an answer before anybody knows that it is wanted: for a voice that wants its first words ready
//! when the question is over.

use super::{
    AnswerError, AnswerEvent, Answerer, Ask, Beginning,
    condense::points_back,
    extractive::{self, cite},
    generate::NOT_IN_DOCUMENTS,
    support::worth_asking,
};

impl Answerer {
    /// The events with which an answer aloud to this question would begin, up to its first words; none where those
    /// are the language model's to say. No model is asked, and nothing is recorded.
    ///
    /// # Errors
    /// As for an answer.
    pub async fn foresee(
        &self,
        ask: Ask,
        beginning: Beginning,
    ) -> Result<Vec<AnswerEvent>, AnswerError> {
        let has_model = self.parts.model.is_some();
        let models_to_say = beginning == Beginning::Pointed || points_back(ask.question.as_str());
        if has_model && models_to_say {
            return Ok(Vec::new());
        }
        let (mut degraded, mut usage) = Default::default();
        let question = self.standalone(&ask, &mut degraded, &mut usage).await?;
        let top_k = self.top_k(ask.top_k);
        let retrieved = self
            .retrieve(&question, ask.collection.as_ref(), top_k)
            .await?;
        let evidence = self.evidence(&retrieved).await?;
        if !worth_asking(&question, &evidence) {
            return Ok(vec![AnswerEvent::Delta(NOT_IN_DOCUMENTS.to_owned())]);
        }
        if has_model {
            let plain = self.plain(&question, &evidence).await;
            return Ok(plain
                .map(|chosen| {
                    let score = chosen.signals.probability();
                    AnswerEvent::Citation(cite(chosen.item, chosen.range, score))
                })
                .into_iter()
                .collect());
        }
        let citations = extractive::best_sentences(&question, &evidence);
        let text = match citations.is_empty() {
            true => NOT_IN_DOCUMENTS.to_owned(),
            false => extractive::text(&citations),
        };
        let mut events: Vec<_> = citations.into_iter().map(AnswerEvent::Citation).collect();
        events.push(AnswerEvent::Delta(text));
        Ok(events)
    }
}
