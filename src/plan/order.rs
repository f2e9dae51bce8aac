//! Which step comes after which, what a hold means for those behind it, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{
    ComponentName, Dependency, Diagnostic, Hold, HoldReason, Place, Plan, Reference, RequestId,
    Spec, Step, Symbol, TargetKey,
};

use super::draft::{Block, Draft, Lane, Node};
use super::guard::{self, Released};
use super::situation::Case;
use super::{Context, Looks};

/// Ties the steps together and makes the plan, with the targets that it would have to see.
pub(super) fn finish(context: &Context, mut draft: Draft) -> (Plan, Looks) {
    let mut ties: BTreeMap<Node, BTreeSet<Node>> = BTreeMap::new();
    let nodes: Vec<Node> = draft.steps.keys().cloned().collect();
    for node in &nodes {
        ties.insert(node.clone(), ties_of(context, &draft, node));
    }
    pass_holds_on(context, &mut draft, &ties);
    if !context.blind {
        // A circle is named before what was not looked at because of it.
        take_turns(context, &mut draft, &ties);
        hold_unlooked(&mut draft);
        pass_holds_on(context, &mut draft, &ties);
    }
    let waited = waited(&draft);
    for (node, step) in &mut draft.steps {
        let before = ties.get(node).into_iter().flatten().filter(|b| {
            // Where the place changes, what comes is planned again when what was has gone.
            waited.contains(*b) || b.0 == node.0
        });
        let keys: BTreeSet<_> = before.map(|(key, _)| key.clone()).collect();
        let ties = if step.action.touches_the_world() { keys } else { BTreeSet::new() };
        step.after = ties.into_iter().collect();
    }
    let order = take_turns(context, &mut draft, &ties);
    assemble(context, draft, order)
}

/// The steps that others wait for. What the store does alone is done before anything else, and nobody
/// waits for it.
fn waited(draft: &Draft) -> BTreeSet<Node> {
    let world = draft.steps.iter().filter(|(_, step)| step.action.touches_the_world());
    world.map(|(node, _)| node.clone()).collect()
}

/// The nodes that a step comes after, whether they are steps or held.
fn ties_of(context: &Context, draft: &Draft, node: &Node) -> BTreeSet<Node> {
    let (key, lane) = node;
    let Some(case) = context.cases.get(&key.request) else { return BTreeSet::new() };
    let spec = case.desired.as_ref().and_then(|d| d.spec());
    let found = match (lane, spec) {
        (Lane::Move | Lane::Rename, _) => Vec::new(),
        (Lane::Apply, Some(spec)) => apply_ties(context, key, spec),
        (Lane::Apply, None) => Vec::new(),
        (Lane::Remove, Some(spec)) => part_ties(context, key, spec),
        (Lane::Remove, None) => whole_ties(context, key),
    };
    let exists = |n: &Node| draft.steps.contains_key(n) || draft.blocked.contains_key(n);
    found.into_iter().filter(|n| n != node && exists(n)).collect()
}

/// What is applied comes after what it needs, what gives its parameters, and what it takes the place
/// of.
fn apply_ties(context: &Context, key: &TargetKey, spec: &Spec) -> Vec<Node> {
    let own = |component: &ComponentName, lane| {
        (TargetKey { request: key.request.clone(), component: component.clone() }, lane)
    };
    let mut ties = vec![own(&key.component, Lane::Remove)];
    let Some(component) = spec.component(&key.component) else { return ties };
    ties.extend(component.needs.iter().map(|need| own(need, Lane::Apply)));
    for Reference { request, output } in spec.references.values() {
        ties.extend(giving(context, request, None, output));
    }
    for Symbol { request, component, output } in &component.unknown {
        ties.extend(giving(context, request, component.as_ref(), output));
    }
    ties
}

/// The nodes of a request that give an output: one component's where it is known which, else all.
fn giving(
    context: &Context,
    request: &RequestId,
    component: Option<&ComponentName>,
    output: &str,
) -> Vec<Node> {
    let spec = context.cases.get(request).and_then(|c| c.desired.as_ref()).and_then(|d| d.spec());
    let Some(spec) = spec else { return Vec::new() };
    let component = component.or(spec.outputs.get(output).map(|o| &o.component));
    spec.components
        .iter()
        .filter(|c| component.is_none_or(|one| *one == c.name))
        .map(|c| (TargetKey { request: request.clone(), component: c.name.clone() }, Lane::Apply))
        .collect()
}

/// A component that is gone from its template goes after those that stood on it have changed or gone.
/// One that makes room for its own successor goes at once.
fn part_ties(context: &Context, key: &TargetKey, spec: &Spec) -> Vec<Node> {
    if spec.component(&key.component).is_some() {
        return Vec::new();
    }
    let mut ties = Vec::new();
    for name in stood_on(context, key) {
        let key = TargetKey { request: key.request.clone(), component: name };
        ties.push((key.clone(), Lane::Apply));
        ties.push((key, Lane::Remove));
    }
    ties
}

/// A request that is gone goes after the requests that referenced it, its components in reverse.
fn whole_ties(context: &Context, key: &TargetKey) -> Vec<Node> {
    let mut ties: Vec<Node> = stood_on(context, key)
        .into_iter()
        .map(|name| (TargetKey { request: key.request.clone(), component: name }, Lane::Remove))
        .collect();
    for dependent in (context.situation.dependents)(&key.request) {
        let dependent = context.moves.taken.get(&dependent).unwrap_or(&dependent);
        let Some(case) = context.cases.get(dependent).filter(|c| c.id != key.request) else {
            continue;
        };
        let target = |component: &ComponentName| TargetKey {
            request: dependent.clone(),
            component: component.clone(),
        };
        match case.desired.as_ref() {
            None => {
                let components = case.recorded.iter().flat_map(|r| r.components.keys());
                ties.extend(components.map(|c| (target(c), Lane::Remove)));
            }
            Some(desired) => {
                let components = desired.spec().into_iter().flat_map(|s| &s.components);
                ties.extend(components.map(|c| (target(&c.name), Lane::Apply)));
            }
        }
    }
    ties
}

/// The components that, as recorded, need this one.
fn stood_on(context: &Context, key: &TargetKey) -> Vec<ComponentName> {
    let case = context.moves.takes.get(&key.request).or(context.cases.get(&key.request));
    let record = case.and_then(|c| c.recorded.as_ref());
    record
        .iter()
        .flat_map(|r| &r.components)
        .filter(|(name, c)| **name != key.component && c.needs.contains(&key.component))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Turns the steps behind a held one into holds that say what they wait for.
fn pass_holds_on(context: &Context, draft: &mut Draft, ties: &BTreeMap<Node, BTreeSet<Node>>) {
    let mut behind: BTreeMap<&Node, Vec<&Node>> = BTreeMap::new();
    for (node, before) in ties {
        for before in before {
            behind.entry(before).or_default().push(node);
        }
    }
    let mut queue: VecDeque<(Node, HoldReason)> = VecDeque::new();
    for (node, step) in &draft.steps {
        if node.1 == Lane::Apply
            && let Some(reason) = unmet(context, draft, node, step)
        {
            queue.push_back((node.clone(), reason));
        }
    }
    let blocked: Vec<(Node, Block)> = draft.blocked.iter().map(|(n, b)| (n.clone(), *b)).collect();
    for (node, block) in blocked {
        for next in behind.get(&node).into_iter().flatten() {
            queue.push_back(((*next).clone(), waiting(&node, block, next)));
        }
    }
    while let Some((node, reason)) = queue.pop_front() {
        let Some(step) = draft.steps.remove(&node) else { continue };
        draft.blocked.insert(node.clone(), Block::Held);
        let referenced = matches!(reason, HoldReason::Referenced { .. });
        let (request, component) = (node.0.request.clone(), node.0.component.clone());
        let component = (!referenced).then_some(component);
        let hold = Hold { request, component, action: Some(step.action), reason };
        if !referenced || !draft.holds.contains(&hold) {
            draft.holds.push(hold);
        }
        for next in behind.get(&node).into_iter().flatten() {
            queue.push_back(((*next).clone(), waiting(&node, Block::Held, next)));
        }
    }
}

/// Nothing is done on the strength of not having looked.
fn hold_unlooked(draft: &mut Draft) {
    for node in std::mem::take(&mut draft.unlooked) {
        if let Some(step) = draft.steps.remove(&node) {
            let error = String::new();
            draft.hold(node.0.clone(), Some(step.action), HoldReason::NotObserved { error });
            draft.block(node.0, node.1);
        }
    }
}

fn waiting(before: &Node, block: Block, node: &Node) -> HoldReason {
    match node.1 {
        Lane::Remove => guard::waits_for(&before.0, block, &node.0.request),
        Lane::Apply | Lane::Move | Lane::Rename => {
            HoldReason::WaitingFor { dependency: Dependency::Target(before.0.clone()) }
        }
    }
}

/// What a step stands on that no other step will give: a request that is held as a whole, or an
/// output that nobody is about to make.
fn unmet(context: &Context, draft: &Draft, node: &Node, step: &Step) -> Option<HoldReason> {
    let case = context.cases.get(&node.0.request)?;
    let spec = case.desired.as_ref()?.spec()?;
    let references = spec.references.values().map(|r| &r.request);
    let mut requests = references.chain(step.unknown.iter().map(|s| &s.request));
    if let Some(held) = requests.find(|r| draft.blocked_requests.contains(*r)) {
        let dependency = Dependency::Request(held.clone());
        return Some(HoldReason::WaitingFor { dependency });
    }
    let given = |symbol: &Symbol| {
        let nodes = giving(context, &symbol.request, symbol.component.as_ref(), &symbol.output);
        nodes
            .iter()
            .any(|n| n != node && (draft.steps.contains_key(n) || draft.blocked.contains_key(n)))
    };
    let symbol = step.unknown.iter().find(|symbol| !given(symbol))?;
    Some(HoldReason::WaitingFor { dependency: Dependency::Output(symbol.clone()) })
}

/// The steps in an order that respects the ties, one team after the other: a team's five thousand do
/// not stand before another's one. What is tied in a circle is held.
fn take_turns(
    context: &Context,
    draft: &mut Draft,
    ties: &BTreeMap<Node, BTreeSet<Node>>,
) -> Vec<Node> {
    let waited = waited(draft);
    let mut left: BTreeMap<&Node, usize> = BTreeMap::new();
    let mut behind: BTreeMap<&Node, Vec<&Node>> = BTreeMap::new();
    let (mut order, mut teams) = (Vec::new(), BTreeMap::<&str, VecDeque<&Node>>::new());
    for (node, step) in draft.steps.iter() {
        if !step.action.touches_the_world() {
            order.push(node.clone());
            continue;
        }
        let Some((node, before)) = ties.get_key_value(node) else { continue };
        let before: Vec<_> = before.iter().filter(|b| waited.contains(*b)).collect();
        left.insert(node, before.len());
        if before.is_empty() {
            teams.entry(node.0.request.team()).or_default().push_back(node);
        }
        before.into_iter().for_each(|b| behind.entry(b).or_default().push(node));
    }
    // A record takes its request's new name before its components take theirs.
    order.sort_by_key(|(_, lane)| *lane);
    while !teams.is_empty() {
        let turn: Vec<&str> = teams.keys().copied().collect();
        for team in turn {
            let Some(node) = teams.get_mut(team).and_then(VecDeque::pop_front) else { continue };
            left.remove(node);
            order.push(node.clone());
            for next in behind.get(node).into_iter().flatten() {
                let Some(count) = left.get_mut(*next) else { continue };
                *count -= 1;
                if *count == 0 {
                    teams.entry(next.0.request.team()).or_default().push_back(next);
                }
            }
        }
        teams.retain(|_, queue| !queue.is_empty());
    }
    let circle: Vec<Node> = left.into_keys().cloned().collect();
    hold_circle(context, draft, &circle);
    order
}

/// Holds what is tied in a circle: nothing of it can ever come first.
fn hold_circle(context: &Context, draft: &mut Draft, circle: &[Node]) {
    let Some((first, _)) = circle.first() else { return };
    let message = format!("targets wait for each other in a circle, `{first}` among them");
    for node in circle {
        let Some(step) = draft.steps.remove(node) else { continue };
        let case = context.cases.get(&node.0.request);
        let origin = case.and_then(|c| {
            let recorded = c.recorded.as_ref().map(|r| &r.origin);
            c.desired.as_ref().map(|d| &d.origin).or(recorded)
        });
        let place = Place::file(origin.map(|o| o.path.clone()).unwrap_or_default());
        let problem = Diagnostic::error("DEP001", place, message.clone())
            .help("remove one of the references or needs");
        let reason = HoldReason::Invalid { problems: vec![problem] };
        draft.hold(node.0.clone(), Some(step.action), reason);
    }
}

fn assemble(context: &Context, draft: Draft, order: Vec<Node>) -> (Plan, Looks) {
    let Draft { mut steps, mut holds, mut settle, mut drifts, mut forget, released, .. } = draft;
    let Released { steps: mut approved, sets: mut spent } = released;
    let mut looks = draft.failed;
    let mut drift = draft.due;
    let mut busy: BTreeSet<RequestId> = forget.iter().cloned().collect();
    let mut ordered = Vec::with_capacity(order.len());
    for node in order {
        looks.extend(draft.looks.get(&node).cloned());
        ordered.extend(steps.remove(&node));
    }
    for step in &ordered {
        busy.insert(step.target.key.request.clone());
        busy.extend(step.moved_from.iter().map(|key| key.request.clone()));
    }
    busy.extend(holds.iter().map(|hold| hold.request.clone()));
    // What was to be satisfied may since wait for something: it is not, then.
    let held: BTreeSet<&RequestId> = holds.iter().map(|hold| &hold.request).collect();
    settle.retain(|settle| !held.contains(&settle.request));
    holds.sort_by(|a, b| {
        let key = |h: &Hold| (h.request.clone(), h.component.clone(), h.reason.name());
        key(a).cmp(&key(b))
    });
    settle.sort_by(|a, b| a.request.cmp(&b.request));
    drifts.sort_by(|a, b| a.target.cmp(&b.target));
    forget.sort();
    approved.sort();
    approved.dedup();
    spent.sort();
    spent.dedup();
    for targets in [&mut looks, &mut drift] {
        targets.sort_by(|a, b| (&a.key, &a.name).cmp(&(&b.key, &b.name)));
        targets.dedup_by(|a, b| (&a.key, &a.name) == (&b.key, &b.name));
    }
    let decided: BTreeSet<_> = looks.iter().map(|target| (&target.key, &target.name)).collect();
    drift.retain(|target| !decided.contains(&(&target.key, &target.name)));
    let looks = Looks { drift, targets: looks };
    let quiet = |case: &&&Case| case.desired.is_some() && !busy.contains(&case.id);
    let quiet = context.cases.values().filter(quiet).count() as u64;
    let settled = context.situation.settled.saturating_add(quiet);
    (Plan { steps: ordered, holds, settled, settle, drifts, forget, approved, spent }, looks)
}
