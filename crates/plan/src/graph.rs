//! Needs between things: a stable order, and the shortest loop when there is none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// A loop of needs; each member needs the next one and the last needs the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle<K>(pub Vec<K>);

#[derive(Clone, Debug)]
struct Edges<K> {
    needs: BTreeSet<K>,
    follows: BTreeSet<K>,
}

/// A graph over keys whose order breaks ties, so that equal input gives equal output.
///
/// A *need* is hard: what needs a thing comes behind it, and loops of needs are refused. A thing that *follows* another one
/// comes behind it where no need says otherwise: such a wish never makes a loop, it gives way.
#[derive(Clone, Debug, Default)]
pub struct Graph<K> {
    edges: BTreeMap<K, Edges<K>>,
}

impl<K: Ord + Clone> Graph<K> {
    /// An empty graph.
    pub fn new() -> Self {
        Self {
            edges: BTreeMap::new(),
        }
    }

    fn at(&mut self, key: K) -> &mut Edges<K> {
        self.edges.entry(key).or_insert_with(|| Edges {
            needs: BTreeSet::new(),
            follows: BTreeSet::new(),
        })
    }

    /// Adds `key` with what it needs. Needs that are never added themselves are ignored by [`Graph::order`]:
    /// they name things that already hold.
    pub fn add(&mut self, key: K, needs: impl IntoIterator<Item = K>) {
        self.at(key).needs.extend(needs);
    }

    /// Adds `key` with what it should come behind if nothing speaks against it.
    pub fn follow(&mut self, key: K, others: impl IntoIterator<Item = K>) {
        self.at(key).follows.extend(others);
    }

    /// Keys so that each comes behind all that it needs, and behind what it follows where that is possible; among the free
    /// ones the smallest first. Takes time in proportion to keys and edges, but for a logarithm.
    pub fn order(&self) -> Result<Vec<K>, Cycle<K>> {
        // from here on a key is its place in the order of keys
        let keys: Vec<&K> = self.edges.keys().collect();
        let places: BTreeMap<&K, usize> = keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        let mut needs_left = vec![0_usize; keys.len()];
        let mut wishes_left = vec![0_usize; keys.len()];
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
        let mut followed_by: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
        for (at, edges) in self.edges.values().enumerate() {
            for need in edges.needs.iter().filter_map(|need| places.get(need)) {
                needed_by[*need].push(at);
                needs_left[at] += 1;
            }
            for other in edges.follows.iter().filter_map(|other| places.get(other)) {
                if *other != at {
                    followed_by[*other].push(at);
                    wishes_left[at] += 1;
                }
            }
        }
        // `free` needs nothing more and follows nothing that is still to come; `held` only follows
        let mut free: BinaryHeap<Reverse<usize>> = BinaryHeap::new();
        let mut held: BTreeSet<usize> = BTreeSet::new();
        for at in 0..keys.len() {
            if needs_left[at] == 0 {
                if wishes_left[at] == 0 {
                    free.push(Reverse(at));
                } else {
                    held.insert(at);
                }
            }
        }
        let mut order = Vec::with_capacity(keys.len());
        // when only held ones are left, a wish contradicts needs or other wishes, and the smallest gives way
        while let Some(at) = free.pop().map(|Reverse(at)| at).or_else(|| held.pop_first()) {
            order.push(keys[at].clone());
            for dependant in &needed_by[at] {
                needs_left[*dependant] -= 1;
                if needs_left[*dependant] == 0 {
                    if wishes_left[*dependant] == 0 {
                        free.push(Reverse(*dependant));
                    } else {
                        held.insert(*dependant);
                    }
                }
            }
            for follower in &followed_by[at] {
                wishes_left[*follower] = wishes_left[*follower].saturating_sub(1);
                if wishes_left[*follower] == 0 && held.remove(follower) {
                    free.push(Reverse(*follower));
                }
            }
        }
        if order.len() == keys.len() {
            Ok(order)
        } else {
            Err(self.shortest_cycle())
        }
    }

    /// Breadth-first search from every key back to itself, no deeper than the best loop so far; this runs on failure only.
    fn shortest_cycle(&self) -> Cycle<K> {
        let mut best: Option<Vec<K>> = None;
        for start in self.edges.keys() {
            let most = best.as_ref().map_or(usize::MAX, Vec::len);
            let mut previous: BTreeMap<&K, &K> = BTreeMap::new();
            let mut queue = VecDeque::from([(start, 1_usize)]);
            'search: while let Some((key, depth)) = queue.pop_front() {
                if depth >= most {
                    break;
                }
                for need in self.edges.get(key).into_iter().flat_map(|edges| &edges.needs) {
                    if need == start {
                        let mut path = vec![key.clone()];
                        let mut at = key;
                        while let Some(before) = previous.get(at) {
                            path.push((*before).clone());
                            at = before;
                        }
                        path.reverse();
                        best = Some(path);
                        break 'search;
                    }
                    if !previous.contains_key(need) {
                        previous.insert(need, key);
                        queue.push_back((need, depth + 1));
                    }
                }
            }
            if best.as_ref().is_some_and(|best| best.len() == 1) {
                break;
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

    #[test]
    fn a_wish_orders_and_gives_way_to_needs_and_to_other_wishes() {
        let mut graph = Graph::new();
        graph.add("a", []);
        graph.add("b", []);
        graph.follow("a", ["b"]);
        assert_eq!(graph.order().unwrap(), ["b", "a"]);
        graph.add("b", ["a"]);
        assert_eq!(graph.order().unwrap(), ["a", "b"]);
        let mut wishes = Graph::new();
        wishes.follow("a", ["b"]);
        wishes.follow("b", ["c"]);
        wishes.follow("c", ["a", "c"]);
        assert_eq!(wishes.order().unwrap(), ["a", "c", "b"]);
    }

    /// Edges between forty keys.
    fn edges(most: usize) -> impl Strategy<Value = Vec<(u8, u8)>> {
        prop::collection::vec((0_u8..40, 0_u8..40), 0..most)
    }

    fn built(needs: &[(u8, u8)], wishes: &[(u8, u8)]) -> Graph<u8> {
        let mut graph = Graph::new();
        for (a, b) in needs {
            graph.add(*a, [*b]);
            graph.add(*b, []);
        }
        for (a, b) in wishes {
            graph.follow(*a, [*b]);
            graph.add(*b, []);
        }
        graph
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn every_need_comes_first_and_order_is_stable(edges in edges(120), wishes in edges(40)) {
            // from larger to smaller: no loops
            let needs: Vec<(u8, u8)> = edges.into_iter().filter(|(a, b)| a > b).collect();
            let order = built(&needs, &wishes).order().unwrap();
            let backwards: Vec<(u8, u8)> = needs.iter().rev().copied().collect();
            let other: Vec<(u8, u8)> = wishes.iter().rev().copied().collect();
            prop_assert_eq!(&order, &built(&backwards, &other).order().unwrap());
            let place = |key: u8| order.iter().position(|at| *at == key);
            for (a, b) in needs {
                prop_assert!(place(b) < place(a));
            }
            let mut once = order.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), order.len());
        }

        #[test]
        fn wishes_without_contradiction_are_kept(edges in edges(80)) {
            let (needs, wishes): (Vec<_>, Vec<_>) =
                edges.into_iter().filter(|(a, b)| a > b).partition(|(a, b)| (a + b) % 3 == 0);
            let order = built(&needs, &wishes).order().unwrap();
            let place = |key: u8| order.iter().position(|at| *at == key);
            for (a, b) in wishes {
                prop_assert!(place(b) < place(a));
            }
        }

        #[test]
        fn a_loop_is_a_loop_and_none_is_shorter(needs in edges(60)) {
            let graph = built(&needs, &[]);
            let has = |a: u8, b: u8| needs.contains(&(a, b));
            let Err(Cycle(path)) = graph.order() else {
                // then following needs from anywhere ends: no key reaches itself
                let mut reach: BTreeSet<(u8, u8)> = needs.iter().copied().collect();
                loop {
                    let more: Vec<(u8, u8)> = reach.iter()
                        .flat_map(|(a, b)| needs.iter().filter(move |(from, _)| from == b).map(move |(_, to)| (*a, *to)))
                        .filter(|pair| !reach.contains(pair))
                        .collect();
                    if more.is_empty() { break }
                    reach.extend(more);
                }
                prop_assert!(reach.iter().all(|(a, b)| a != b));
                return Ok(());
            };
            for (at, key) in path.iter().enumerate() {
                prop_assert!(has(*key, path[(at + 1) % path.len()]));
            }
            // no closed walk of fewer needs exists anywhere
            let mut walks: BTreeSet<(u8, u8)> = needs.iter().copied().collect();
            for length in 1..path.len() {
                prop_assert!(walks.iter().all(|(a, b)| a != b), "a loop of {} exists", length);
                walks = walks.iter()
                    .flat_map(|(a, b)| needs.iter().filter(move |(from, _)| from == b).map(move |(_, to)| (*a, *to)))
                    .collect();
            }
        }
    }
}
