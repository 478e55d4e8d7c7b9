//! Needs between things: a stable order, and the shortest loop when there is none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A loop of needs; each member needs the next one and the last needs the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle<K>(pub Vec<K>);

/// A graph of needs over keys whose order breaks ties, so that equal input gives equal output.
#[derive(Clone, Debug, Default)]
pub struct Graph<K> {
    needs: BTreeMap<K, BTreeSet<K>>,
}

impl<K: Ord + Clone> Graph<K> {
    /// An empty graph.
    pub fn new() -> Self {
        Self {
            needs: BTreeMap::new(),
        }
    }

    /// Adds `key` with what it needs. Needs that are never added themselves are ignored by [`Graph::order`]:
    /// they name things that already hold.
    pub fn add(&mut self, key: K, needs: impl IntoIterator<Item = K>) {
        self.needs.entry(key).or_default().extend(needs);
    }

    /// Keys so that each comes behind all that it needs; among the free ones the smallest first.
    pub fn order(&self) -> Result<Vec<K>, Cycle<K>> {
        let mut missing: BTreeMap<&K, usize> = BTreeMap::new();
        let mut dependants: BTreeMap<&K, Vec<&K>> = BTreeMap::new();
        for (key, needs) in &self.needs {
            let known = needs.iter().filter(|need| self.needs.contains_key(*need));
            let mut count = 0;
            for need in known {
                dependants.entry(need).or_default().push(key);
                count += 1;
            }
            missing.insert(key, count);
        }
        let mut free: BTreeSet<&K> = missing
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(key, _)| *key)
            .collect();
        let mut order = Vec::with_capacity(self.needs.len());
        while let Some(key) = free.pop_first() {
            order.push(key.clone());
            for dependant in dependants.get(key).into_iter().flatten() {
                if let Some(count) = missing.get_mut(*dependant) {
                    *count -= 1;
                    if *count == 0 {
                        free.insert(dependant);
                    }
                }
            }
        }
        if order.len() == self.needs.len() {
            Ok(order)
        } else {
            Err(self.shortest_cycle())
        }
    }

    /// Breadth-first search from every key back to itself; the graphs are small and this runs on failure only.
    fn shortest_cycle(&self) -> Cycle<K> {
        let mut best: Option<Vec<K>> = None;
        for start in self.needs.keys() {
            let mut previous: BTreeMap<&K, &K> = BTreeMap::new();
            let mut queue = VecDeque::from([start]);
            'search: while let Some(key) = queue.pop_front() {
                for need in self.needs.get(key).into_iter().flatten() {
                    if need == start {
                        let mut path = vec![key.clone()];
                        let mut at = key;
                        while let Some(before) = previous.get(at) {
                            path.push((*before).clone());
                            at = before;
                        }
                        path.reverse();
                        if best.as_ref().is_none_or(|best| path.len() < best.len()) {
                            best = Some(path);
                        }
                        break 'search;
                    }
                    if !previous.contains_key(need) {
                        previous.insert(need, key);
                        queue.push_back(need);
                    }
                }
            }
        }
        Cycle(best.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shortest_loop_is_named() {
        let mut graph = Graph::new();
        graph.add("a", ["b"]);
        graph.add("b", ["c"]);
        graph.add("c", ["a"]);
        graph.add("x", ["y"]);
        graph.add("y", ["x"]);
        let Err(Cycle(path)) = graph.order() else {
            panic!("no loop found")
        };
        assert_eq!(path, ["x", "y"]);
    }

    #[test]
    fn a_thing_that_needs_itself_is_a_loop() {
        let mut graph = Graph::new();
        graph.add("a", ["a"]);
        assert_eq!(graph.order(), Err(Cycle(vec!["a"])));
    }

    proptest! {
        #[test]
        fn every_need_comes_first_and_order_is_stable(edges in prop::collection::vec((0_u8..40, 0_u8..40), 0..120)) {
            let mut graph = Graph::new();
            let mut backwards = Graph::new();
            for (a, b) in &edges {
                // from larger to smaller: no loops
                if a > b { graph.add(*a, [*b]); graph.add(*b, []); }
            }
            for (a, b) in edges.iter().rev() {
                if a > b { backwards.add(*b, []); backwards.add(*a, [*b]); }
            }
            let order = graph.order().unwrap();
            prop_assert_eq!(&order, &backwards.order().unwrap());
            let place = |key: u8| order.iter().position(|at| *at == key);
            for (a, b) in edges.iter().filter(|(a, b)| a > b) {
                prop_assert!(place(*b) < place(*a));
            }
        }
    }
}
