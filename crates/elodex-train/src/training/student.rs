//! Networks as something that learns from groups.

use super::groups::Group;
use super::loss::{Objective, logit, softmax};
use super::prepared::Prepared;
use crate::network::{BiEncoder, CrossEncoder, Device, Gradients, Parameters, cannot, normalise_backward};
use crate::{Error, ErrorKind, Result};
use elodex_kernels::Kernels;
use elodex_models::Encoded;
use elodex_models::files::{ModelFiles, Prompts};
use elodex_models::tokenizer::TextTokenizer;
use elodex_types::Truncation;

/// A network that learns from groups.
pub trait Student {
    /// Tokenises a group. Documents longer than the student reads are cut and counted.
    ///
    /// # Errors
    /// A query that leaves no room for a document.
    fn prepare(&self, group: &Group) -> Result<Prepared>;

    /// Adds the gradient of the mean loss over `groups`, times `share`, to `gradients`; that mean.
    ///
    /// # Errors
    /// [`ErrorKind::Device`], of a device other than the CPU.
    fn learn(&self, groups: &[&Prepared], share: f32, gradients: &mut Gradients) -> Result<f64>;

    /// The loss of each group and the scores of its documents.
    ///
    /// # Errors
    /// As [`Self::learn`].
    fn judge(&self, groups: &[&Prepared]) -> Result<Vec<(f64, Vec<f32>)>>;

    /// Tokens that it takes at once, at most, where groups can be told apart.
    fn batch_tokens(&self) -> usize;

    /// Its weights.
    fn parameters(&self) -> &Parameters;

    /// Its weights, to change them.
    fn parameters_mut(&mut self) -> &mut Parameters;

    /// Whether a group's loss depends on which other groups it is learned with.
    fn needs_company(&self) -> bool;

    /// Whether σ(score) is meant to be a relevance, as of logits; a cosine only orders documents.
    fn scores_are_logits(&self) -> bool;
}

/// A cross-encoder.
#[derive(Debug)]
pub struct RerankStudent {
    network: CrossEncoder,
    tokenizer: TextTokenizer,
    objective: Objective,
    max_tokens: usize,
}

impl RerankStudent {
    /// Starts from the model of `files`; see [`CrossEncoder::load`].
    ///
    /// # Errors
    /// As there; more tokens than the model's positions.
    pub fn load(
        files: &ModelFiles,
        kernels: Kernels,
        objective: Objective,
        max_tokens: usize,
        seed: u64,
    ) -> Result<Self> {
        let network = CrossEncoder::load(files, kernels, seed)?;
        check_length(max_tokens, network.encoder().max_tokens())?;
        let tokenizer = load_tokenizer(files)?;
        Ok(Self { network, tokenizer, objective, max_tokens })
    }

    /// The same, with its encoder there.
    #[must_use]
    pub fn on(self, device: Device) -> Self {
        Self { network: self.network.on(device), ..self }
    }

    /// Loss, scores and gradient by the scores of each group.
    fn compare(&self, groups: &[&Prepared], logits: &[f32]) -> Vec<(f64, Vec<f32>, Vec<f32>)> {
        let mut rest = logits;
        let mut compared = Vec::with_capacity(groups.len());
        for group in groups {
            let (own, others) = rest.split_at(group.documents.len());
            rest = others;
            let (loss, gradient) = self.objective.loss(own, &group.targets);
            compared.push((loss, own.to_vec(), gradient));
        }
        compared
    }
}

impl Student for RerankStudent {
    fn prepare(&self, group: &Group) -> Result<Prepared> {
        let query = self.tokenizer.encode(&group.query).map_err(cannot("tokenise a query"))?.ids;
        let fixed = query.len() + self.tokenizer.frame_len(true);
        let Some(room) = self.max_tokens.checked_sub(fixed).filter(|room| *room > 0) else {
            return Err(too_long(&group.query, fixed, self.max_tokens));
        };
        let pair = |text: &str| -> Result<Encoded> {
            let mut document = self.tokenizer.encode(text).map_err(cannot("tokenise a document"))?.ids;
            let seen = fixed + document.len();
            document.truncate(room);
            let (ids, type_ids) = self.tokenizer.frame(&query, Some(&document));
            let truncation = Truncation { seen, used: ids.len() };
            Ok(Encoded { ids, type_ids, pool_from: 0, route: 0, truncation })
        };
        let documents = group.documents.iter().map(|document| pair(&document.text)).collect::<Result<_>>()?;
        Ok(Prepared { query: None, documents, targets: targets(group) })
    }

    fn learn(&self, groups: &[&Prepared], share: f32, gradients: &mut Gradients) -> Result<f64> {
        let (logits, tape) = self.network.forward(Prepared::batch(groups))?;
        let compared = self.compare(groups, &logits);
        let factor = share / groups.len() as f32;
        let by_logits: Vec<f32> =
            compared.iter().flat_map(|(_, _, gradient)| gradient).map(|value| value * factor).collect();
        self.network.backward(tape, &by_logits, gradients)?;
        Ok(compared.iter().map(|(loss, ..)| loss).sum::<f64>() / groups.len() as f64)
    }

    fn judge(&self, groups: &[&Prepared]) -> Result<Vec<(f64, Vec<f32>)>> {
        let (logits, _) = self.network.forward(Prepared::batch(groups))?;
        Ok(self.compare(groups, &logits).into_iter().map(|(loss, scores, _)| (loss, scores)).collect())
    }

    fn batch_tokens(&self) -> usize {
        self.network.encoder().device().batch_tokens()
    }

    fn parameters(&self) -> &Parameters {
        &self.network.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.network.parameters
    }

    fn needs_company(&self) -> bool {
        false
    }

    fn scores_are_logits(&self) -> bool {
        true
    }
}

/// A bi-encoder that learns the order of a query's documents, among them and among those of the other queries it is
/// learned with: cross entropy of softmax(logit y) over its own documents (others have no share) and softmax(cosine /
/// temperature) over all.
#[derive(Debug)]
pub struct EmbedStudent {
    network: BiEncoder,
    tokenizer: TextTokenizer,
    prompts: Prompts,
    max_tokens: usize,
    /// Of the softmax over cosines.
    temperature: f32,
    /// Widths at which the loss is taken, the model's own among them.
    widths: Vec<usize>,
}

impl EmbedStudent {
    /// Starts from the model of `files`; see [`BiEncoder::load`].
    ///
    /// # Errors
    /// As there; more tokens than the model's positions; a width it does not have.
    pub fn load(
        files: &ModelFiles,
        kernels: Kernels,
        prompts: Prompts,
        widths: Vec<usize>,
        temperature: f32,
        max_tokens: usize,
    ) -> Result<Self> {
        let network = BiEncoder::load(files, kernels)?;
        check_length(max_tokens, network.encoder().max_tokens())?;
        let hidden = network.encoder().hidden();
        if widths.is_empty() || widths.iter().any(|width| *width == 0 || *width > hidden) {
            let message = format!("widths {widths:?} are not 1 to {hidden}");
            return Err(Error::new(ErrorKind::Request, message));
        }
        let tokenizer = load_tokenizer(files)?;
        Ok(Self { network, tokenizer, prompts, max_tokens, temperature, widths })
    }

    /// The same, with its encoder there.
    #[must_use]
    pub fn on(self, device: Device) -> Self {
        Self { network: self.network.on(device), ..self }
    }

    fn encode(&self, prompt: Option<&str>, text: &str) -> Result<Encoded> {
        let whole = [prompt.unwrap_or_default(), text].concat();
        let mut tokens = self.tokenizer.encode(&whole).map_err(cannot("tokenise a text"))?.ids;
        let frame = self.tokenizer.frame_len(false);
        let seen = tokens.len() + frame;
        tokens.truncate(self.max_tokens.saturating_sub(frame));
        let (ids, type_ids) = self.tokenizer.frame(&tokens, None);
        let truncation = Truncation { seen, used: ids.len() };
        Ok(Encoded { ids, type_ids, pool_from: 0, route: 0, truncation })
    }

    /// Each group's mean loss over the widths, with its own documents' cosine / temperature at the first width; and the
    /// gradient by `vectors` of the groups' mean loss.
    fn compare(&self, groups: &[&Prepared], vectors: &[f32]) -> (Vec<(f64, Vec<f32>)>, Vec<f32>) {
        let encoder = self.network.encoder();
        let hidden = encoder.hidden();
        let mut by_vectors = vec![0.0; vectors.len()];
        let mut results: Vec<(f64, Vec<f32>)> = vec![(0.0, vec![]); groups.len()];
        let share = 1.0 / (groups.len() * self.widths.len()) as f32;
        for (index, width) in self.widths.iter().enumerate() {
            let part = Part::new(encoder.kernels(), vectors, hidden, *width);
            let mut by_part = vec![0.0; part.values.len()];
            let mut first = 0;
            for (place, group) in groups.iter().enumerate() {
                let own = first + 1..first + 1 + group.documents.len();
                let (documents, scores) = self.cosines(groups, &part, first, group);
                let wanted = softmax(group.targets.iter().map(|target| logit(*target)));
                let found = softmax(scores.iter().copied());
                let mut loss = 0.0;
                for ((document, probability), score) in documents.iter().zip(&found).zip(&scores) {
                    let wanted = if own.contains(document) { wanted[document - own.start] } else { 0.0 };
                    loss -= wanted * probability.max(1e-300).ln();
                    let slope = (probability - wanted) as f32 / self.temperature * share;
                    part.add_product(&mut by_part, first, *document, slope);
                    if index == 0 && own.contains(document) {
                        results[place].1.push(*score);
                    }
                }
                results[place].0 += loss / self.widths.len() as f64;
                first = own.end;
            }
            part.add_back(by_part, &mut by_vectors, hidden);
        }
        (results, by_vectors)
    }

    /// The documents that a query's loss compares, by their place among the vectors, and cosine / temperature.
    fn cosines(
        &self,
        groups: &[&Prepared],
        part: &Part,
        query: usize,
        own: &Prepared,
    ) -> (Vec<usize>, Vec<f32>) {
        let mut documents = Vec::new();
        let mut place = 0;
        for group in groups {
            let is_own = place == query;
            for (index, document) in group.documents.iter().enumerate() {
                // Another query's document that is one of this query's own, too, is no negative.
                if is_own || own.documents.iter().all(|text| text.ids != document.ids) {
                    documents.push(place + 1 + index);
                }
            }
            place += 1 + group.documents.len();
        }
        let scores =
            documents.iter().map(|document| part.product(query, *document) / self.temperature).collect();
        (documents, scores)
    }
}

/// Vectors cut to a width and brought to length 1 again.
struct Part {
    width: usize,
    /// `[texts, width]` before.
    cut: Vec<f32>,
    /// `[texts, width]`
    values: Vec<f32>,
}

impl Part {
    fn new(kernels: Kernels, vectors: &[f32], hidden: usize, width: usize) -> Self {
        let cut: Vec<f32> =
            vectors.chunks_exact(hidden).flat_map(|vector| &vector[..width]).copied().collect();
        let mut values = cut.clone();
        for vector in values.chunks_exact_mut(width) {
            kernels.l2_normalize(vector);
        }
        Self { width, cut, values }
    }

    fn vector(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    fn product(&self, left: usize, right: usize) -> f32 {
        self.vector(left).iter().zip(self.vector(right)).map(|(a, b)| a * b).sum()
    }

    /// Adds the gradient of slope · left·right.
    fn add_product(&self, gradient: &mut [f32], left: usize, right: usize, slope: f32) {
        for (to, from) in [(left, right), (right, left)] {
            let sums = &mut gradient[to * self.width..(to + 1) * self.width];
            for (sum, value) in sums.iter_mut().zip(self.vector(from)) {
                *sum += slope * value;
            }
        }
    }

    /// Adds the gradient by the part to that by the whole vectors.
    fn add_back(&self, mut gradient: Vec<f32>, whole: &mut [f32], hidden: usize) {
        normalise_backward(&self.cut, &mut gradient, self.width);
        for (sum, part) in whole.chunks_exact_mut(hidden).zip(gradient.chunks_exact(self.width)) {
            for (sum, value) in sum.iter_mut().zip(part) {
                *sum += value;
            }
        }
    }
}

impl Student for EmbedStudent {
    fn prepare(&self, group: &Group) -> Result<Prepared> {
        let query = self.encode(self.prompts.query.as_deref(), &group.query)?;
        if query.truncation.used < query.truncation.seen {
            return Err(too_long(&group.query, query.truncation.seen, self.max_tokens));
        }
        let encode = |text: &str| self.encode(self.prompts.document.as_deref(), text);
        let documents =
            group.documents.iter().map(|document| encode(&document.text)).collect::<Result<_>>()?;
        Ok(Prepared { query: Some(query), documents, targets: targets(group) })
    }

    fn learn(&self, groups: &[&Prepared], share: f32, gradients: &mut Gradients) -> Result<f64> {
        let (vectors, tape) = self.network.forward(Prepared::batch(groups))?;
        let (results, mut by_vectors) = self.compare(groups, &vectors);
        by_vectors.iter_mut().for_each(|value| *value *= share);
        self.network.backward(tape, by_vectors, gradients)?;
        Ok(results.iter().map(|(loss, _)| loss).sum::<f64>() / groups.len() as f64)
    }

    fn judge(&self, groups: &[&Prepared]) -> Result<Vec<(f64, Vec<f32>)>> {
        let (vectors, _) = self.network.forward(Prepared::batch(groups))?;
        Ok(self.compare(groups, &vectors).0)
    }

    fn batch_tokens(&self) -> usize {
        self.network.encoder().device().batch_tokens()
    }

    fn parameters(&self) -> &Parameters {
        &self.network.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.network.parameters
    }

    fn needs_company(&self) -> bool {
        true
    }

    fn scores_are_logits(&self) -> bool {
        false
    }
}

fn load_tokenizer(files: &ModelFiles) -> Result<TextTokenizer> {
    TextTokenizer::load(files).map_err(cannot(format_args!("load the tokenizer of `{}`", files.id)))
}

fn targets(group: &Group) -> Vec<f32> {
    group.documents.iter().map(|document| document.target).collect()
}

fn check_length(max_tokens: usize, positions: usize) -> Result<()> {
    if (8..=positions).contains(&max_tokens) {
        return Ok(());
    }
    let message = format!("{max_tokens} tokens are not 8 to {positions}, the positions of the model");
    Err(Error::new(ErrorKind::Request, message))
}

fn too_long(query: &str, tokens: usize, max_tokens: usize) -> Error {
    let start: String = query.chars().take(60).collect();
    let message = format!(
        "the query `{start}…` and special tokens take {tokens} of {max_tokens} tokens, and queries are never cut; \
         shorten it or allow more tokens"
    );
    Error::new(ErrorKind::Request, message)
}
