//! What the scheduler needs of a model: the seam between scheduling and the two kinds of model.

use crate::Result;
use elodex_kernels::Parallelism;
use elodex_models::Encoded;
use elodex_types::Truncation;

/// A model as the scheduler sees it. All inputs of a request share a `Call`; each input becomes one or more
/// [`Part`]s, each part one `Raw` result, and the raw results of an input together one `Output`.
pub(crate) trait Backend: Send + Sync + 'static {
    /// What the inputs of one request share.
    type Call: Send + Sync + 'static;
    /// The model's result for one part.
    type Raw: Send + 'static;
    /// The result for one input; cheap to clone, since the cache and equal inputs share it.
    type Output: Clone + Send + Sync + 'static;

    /// What an input is called in errors: "input" in "input 3".
    const INPUT: &'static str;

    /// Prepares what the inputs of a call share. Called at least once before the first [`prepare`](Self::prepare) of
    /// that call.
    fn open(&self, call: &Self::Call) -> Result<()>;

    /// Tokenises one input.
    fn prepare(&self, call: &Self::Call, text: &str) -> elodex_models::Result<Vec<Part>>;

    /// Runs a packed batch; one result per part, in order.
    fn run(
        &self,
        batch: &[(&Self::Call, &Encoded)],
        parallelism: Parallelism,
    ) -> elodex_models::Result<Vec<Self::Raw>>;

    /// Joins the results of an input's parts, in order. `subject` names the input in errors.
    fn finish(&self, subject: &str, parts: Vec<(Receipt, Self::Raw)>) -> Result<Self::Output>;

    /// The most tokens an input of this call can cost, where the model's window bounds it.
    fn most_tokens(&self, call: &Self::Call) -> Option<usize>;

    /// Bytes of activations of a batch of `tokens`.
    fn activation_bytes(&self, tokens: usize) -> u64;

    /// Multiply-adds that a layer's linear maps need for one token: what decides whether sharing a batch's kernels
    /// out pays.
    fn layer_multiply_adds(&self) -> u64;
}

/// One unit of model work.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) encoded: Encoded,
    /// `[start, end)` of the input this part covers, in code points.
    pub(crate) span: (usize, usize),
}

impl Part {
    pub(crate) fn tokens(&self) -> usize {
        self.encoded.ids.len()
    }

    pub(crate) fn receipt(&self) -> Receipt {
        Receipt { truncation: self.encoded.truncation, tokens: self.tokens(), span: self.span }
    }
}

/// What stays of a part after its tokens are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) truncation: Truncation,
    pub(crate) tokens: usize,
    pub(crate) span: (usize, usize),
}
