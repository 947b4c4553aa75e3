//! Values are never used twice, so the swaps of a ref form one chain; everything must fit along it.

use std::collections::HashMap;

use super::history::{History, Op, Outcome, Value, What};

pub fn check(history: &History) -> Result<(), String> {
    for on in 0..history.first.len() {
        let ops: Vec<&Op> = history.ops.iter().filter(|op| op.on == on).collect();
        check_one(&ops, history.first[on]).map_err(|why| format!("ref {on}: {why}"))?;
    }
    Ok(())
}

/// A place on the chain: its value, and the swap that made it.
struct Link<'a> {
    value: Value,
    by: Option<&'a Op>,
}

fn check_one(ops: &[&Op], first: Value) -> Result<(), String> {
    let chain = build(ops, first)?;
    let place: HashMap<Value, usize> = chain.iter().enumerate().map(|(at, link)| (link.value, at)).collect();
    for (earlier, later) in pairs(&chain) {
        if later.end < earlier.start {
            return Err(format!("{later:?} ended before {earlier:?}, on which it stands, began"));
        }
    }
    let mut seen: Vec<(&Op, usize)> = Vec::new();
    for op in ops {
        let Some(saw) = op.saw() else { continue };
        let at = *place.get(&saw).ok_or_else(|| format!("{op:?} saw what never was"))?;
        if chain[at].by.is_some_and(|by| by.start > op.end) {
            return Err(format!("{op:?} saw what was written later"));
        }
        let newest = chain.iter().rposition(|link| link.by.is_some_and(|by| by.is_won() && by.end < op.start));
        if newest.is_some_and(|newest| newest > at) {
            return Err(format!("{op:?} saw less than was acknowledged before it began"));
        }
        seen.push((op, at));
    }
    for (one, at) in &seen {
        if let Some((other, before)) = seen.iter().find(|(other, before)| one.end < other.start && before < at) {
            return Err(format!("{other:?} saw place {before} after {one:?} had seen place {at}"));
        }
    }
    Ok(())
}

fn pairs<'a>(chain: &'a [Link<'a>]) -> impl Iterator<Item = (&'a Op, &'a Op)> {
    let made: Vec<&Op> = chain.iter().filter_map(|link| link.by).collect();
    let of = |at: usize| made[..at].iter().copied().zip(std::iter::repeat(made[at])).collect::<Vec<_>>();
    (0..made.len()).flat_map(of).collect::<Vec<_>>().into_iter()
}

/// The chain from the first value: won swaps, and unclear ones whose value somebody saw or built on.
fn build<'a>(ops: &[&'a Op], first: Value) -> Result<Vec<Link<'a>>, String> {
    let mut next: HashMap<Value, Vec<(Value, &Op)>> = HashMap::new();
    let mut known: Vec<Value> = ops.iter().filter_map(|op| op.saw()).collect();
    let mut won = 0;
    for op in ops {
        let What::Swap { old, new, outcome } = op.what else { continue };
        match outcome {
            Outcome::Won => {
                won += 1;
                known.extend([old, new]);
                next.entry(old).or_default().push((new, op));
            }
            Outcome::Unclear => next.entry(old).or_default().push((new, op)),
            Outcome::Lost(_) => {}
        }
    }
    // What an unclear swap was built on was there, if what it wrote was.
    loop {
        let mut more = Vec::new();
        for (old, swaps) in &next {
            if swaps.iter().any(|(new, _)| known.contains(new)) && !known.contains(old) {
                more.push(*old);
            }
        }
        if more.is_empty() {
            break;
        }
        known.extend(more);
    }
    let mut chain = vec![Link { value: first, by: None }];
    let mut on_chain = 0;
    let mut at = first;
    while let Some(swaps) = next.get(&at) {
        let mut happened = swaps.iter().filter(|(new, _)| known.contains(new));
        let Some((new, op)) = happened.next() else { break };
        if let Some((_, other)) = happened.next() {
            return Err(format!("{op:?} and {other:?} both replaced the same value"));
        }
        on_chain += usize::from(op.is_won());
        if chain.iter().any(|link| link.value == *new) {
            return Err(format!("{op:?} goes back to a value that was"));
        }
        chain.push(Link { value: *new, by: Some(op) });
        at = *new;
    }
    if on_chain != won {
        return Err(format!("{} acknowledged swaps have left no trace", won - on_chain));
    }
    Ok(chain)
}
