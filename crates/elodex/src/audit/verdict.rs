//! Where the fault of one query lies.

use serde::Serialize;

/// Ranks that a reader looks at.
const SEEN: usize = 3;
/// The neighbourhood: found, but where nobody looks.
const NEAR: usize = 10;
/// Candidates among which an answer has to be for anything behind the first stage to help.
pub(crate) const POOL: usize = 100;

/// The kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// The answer is among the first three.
    Nothing,
    /// The answer is not in the index in one piece.
    Chunking,
    /// The first stage does not have it among the first hundred.
    Recall,
    /// It is there, behind others.
    Ranking,
}

/// A fault, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) fault: Fault,
    pub(crate) why: String,
}

/// Decides by where the answer is in the index and at which ranks the stages put it. `first` is its rank in the fused list,
/// `last` its rank in the order that users get; `deeper` its rank among many more candidates.
pub(crate) fn decide(
    absent: Option<&str>,
    pieces: usize,
    first: Option<usize>,
    last: Option<usize>,
    deeper: Option<usize>,
) -> Verdict {
    let verdict = |fault, why: String| Verdict { fault, why };
    if let Some(why) = absent {
        return verdict(Fault::Chunking, why.to_owned());
    }
    if pieces == 0 {
        return verdict(
            Fault::Chunking,
            "no chunk with these words was found, not even by the words themselves".to_owned(),
        );
    }
    if pieces > 1 {
        return verdict(
            Fault::Chunking,
            format!("the passage is split over {pieces} chunks, so no chunk says all of it"),
        );
    }
    let in_pool = first.is_some_and(|rank| rank <= POOL);
    match last.filter(|_| in_pool) {
        None => verdict(
            Fault::Recall,
            match deeper {
                Some(rank) => {
                    format!("not among the first {POOL} candidates; with more of them at rank {rank}")
                }
                None => format!("not among the first {POOL} candidates, nor far behind them"),
            },
        ),
        Some(rank) if rank <= SEEN => verdict(Fault::Nothing, format!("at rank {rank}")),
        Some(rank) if rank <= NEAR => {
            verdict(Fault::Ranking, format!("at rank {rank}: the neighbourhood, not the address"))
        }
        Some(rank) => verdict(Fault::Ranking, format!("at rank {rank}, where nobody looks")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_place() {
        let fault = |pieces, first, last| decide(None, pieces, first, last, None).fault;
        assert_eq!(decide(Some("gone"), 1, Some(1), Some(1), None).fault, Fault::Chunking);
        assert_eq!(fault(2, Some(1), Some(1)), Fault::Chunking);
        assert_eq!(fault(0, None, None), Fault::Chunking);
        assert_eq!(fault(1, Some(1), Some(3)), Fault::Nothing);
        assert_eq!(fault(1, Some(1), Some(4)), Fault::Ranking);
        assert_eq!(fault(1, Some(60), Some(2)), Fault::Nothing);
        assert_eq!(fault(1, Some(101), Some(101)), Fault::Recall);
        assert_eq!(fault(1, None, None), Fault::Recall);
        let why = |last| decide(None, 1, Some(50), last, None).why;
        assert!(why(Some(10)).contains("neighbourhood") && why(Some(11)).contains("nobody looks"));
        assert!(decide(None, 1, None, None, Some(340)).why.contains("at rank 340"));
    }
}
