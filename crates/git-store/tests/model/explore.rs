//! Breadth first through all states, so that a counterexample is a shortest one.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::world::{Invariant, Rules, World};

/// More than the model has: it must not grow without notice.
const STATES_MAX: usize = 2_000_000;

/// An invariant that fell, and the way there.
#[derive(Debug)]
pub struct Broken {
    pub invariant: Invariant,
    way: Vec<String>,
    end: World,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} does not hold in {}", self.invariant, self.end)?;
        self.way.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// The number of states, all of them good.
pub fn explore(rules: Rules) -> Result<usize, Box<Broken>> {
    let first = World::first();
    let mut from: HashMap<World, Option<(World, String)>> = HashMap::from([(first.clone(), None)]);
    let mut open = VecDeque::from([first]);
    while let Some(world) = open.pop_front() {
        if let Some(invariant) = world.broken() {
            return Err(Box::new(Broken { invariant, way: way_to(&from, &world), end: world }));
        }
        for (step, next) in world.next(rules) {
            if !from.contains_key(&next) {
                from.insert(next.clone(), Some((world.clone(), step)));
                open.push_back(next);
            }
        }
        assert!(from.len() < STATES_MAX);
    }
    Ok(from.len())
}

fn way_to(from: &HashMap<World, Option<(World, String)>>, end: &World) -> Vec<String> {
    let mut way = Vec::new();
    let mut at = end;
    while let Some(Some((before, step))) = from.get(at) {
        way.push(step.clone());
        at = before;
    }
    way.reverse();
    way
}
