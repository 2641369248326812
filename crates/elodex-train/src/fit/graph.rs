//! Who is tied to whom by battles.

use super::newton::Edge;

/// Names spelled out in a message; the others are counted.
const SHOWN: usize = 5;

/// The groups of items that battles tie together, largest first, of equal size by first item; items ascend.
pub(super) fn components(items: usize, edges: &[Edge]) -> Vec<Vec<usize>> {
    let neighbours = adjacency(items, edges, |_| [true, true]);
    let mut seen = vec![false; items];
    let mut components = Vec::new();
    for start in 0..items {
        if !seen[start] {
            components.push(reached(start, &neighbours, &mut seen));
        }
    }
    components.sort_by_key(|component: &Vec<usize>| (std::cmp::Reverse(component.len()), component[0]));
    components
}

/// Items that lost no share to any other one, of a graph that holds together; none where every item is tied to every
/// other by wins both ways, which makes the likelihood's optimum finite (Zermelo 1929; Ford 1957).
pub(super) fn unbeaten(items: usize, edges: &[Edge]) -> Option<Vec<usize>> {
    let beats = adjacency(items, edges, |edge| edge.wins.map(|wins| wins > 0.0));
    let beaten_by = adjacency(items, edges, |edge| [edge.wins[1] > 0.0, edge.wins[0] > 0.0]);
    let mut seen = vec![false; items];
    let below = reached(0, &beats, &mut seen);
    if below.len() < items {
        // Nothing that item 0 beats, however indirectly, beats any of these.
        return Some((0..items).filter(|&item| !seen[item]).collect());
    }
    let above = reached(0, &beaten_by, &mut vec![false; items]);
    (above.len() < items).then_some(above)
}

/// Names for a message.
pub(super) fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let hidden = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names.take(SHOWN).map(|name| format!("`{name}`")).collect();
    match hidden {
        0 => shown.join(", "),
        hidden => format!("{} and {hidden} more", shown.join(", ")),
    }
}

/// Where each item leads; `leads` says of an edge whether its first leads to its second, and the other way.
fn adjacency(items: usize, edges: &[Edge], leads: impl Fn(&Edge) -> [bool; 2]) -> Vec<Vec<usize>> {
    let mut neighbours = vec![Vec::new(); items];
    for edge in edges {
        let [there, back] = leads(edge);
        if there {
            neighbours[edge.first].push(edge.second);
        }
        if back {
            neighbours[edge.second].push(edge.first);
        }
    }
    neighbours
}

fn reached(start: usize, neighbours: &[Vec<usize>], seen: &mut [bool]) -> Vec<usize> {
    seen[start] = true;
    let mut found = vec![start];
    let mut next = 0;
    while next < found.len() {
        for &neighbour in &neighbours[found[next]] {
            if !seen[neighbour] {
                seen[neighbour] = true;
                found.push(neighbour);
            }
        }
        next += 1;
    }
    found.sort_unstable();
    found
}
