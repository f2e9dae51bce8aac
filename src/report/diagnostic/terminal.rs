//! Diagnostics for people: the lines concerned, with carets.

use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Patch};
use annotate_snippets::{Renderer, Snippet};

use super::clean;
use super::excerpt::excerpt;
use super::mask::Masks;
use crate::model::{Diagnostic, Fix, Place, Severity};

/// Lines are cut by us, around the place; the renderer shall not cut them again.
const TERM_WIDTH: usize = 1000;

/// As rustc shows its own: title, excerpt with carets, related places, help, the suggested fix.
/// `sources` gives the text of a file; without it only its place is shown.
pub fn terminal(
    diagnostics: &[Diagnostic],
    sources: &dyn Fn(&str) -> Option<Arc<str>>,
    colour: bool,
) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(TERM_WIDTH).decor_style(DecorStyle::Ascii);
    let masks = Masks::of(diagnostics);
    let sources = |file: &str| Some(masks.over(file, sources(file)?));
    let mut out = String::new();
    for found in diagnostics {
        out.push_str(&renderer.render(&groups(found, &sources)));
        out.push_str("\n\n");
    }
    out
}

fn groups<'a>(found: &'a Diagnostic, sources: &dyn Fn(&str) -> Option<Arc<str>>) -> Vec<Group<'a>> {
    let Diagnostic { code, severity, place, message, help, related, fix } = found;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        related.iter().partition(|(other, _)| other.file == place.file);
    let mut group = level.primary_title(clean(message)).id(clean(code)).elements(shown(
        place,
        &here,
        sources,
        AnnotationKind::Primary,
    ));
    for (place, label) in elsewhere {
        let labelled = (place.clone(), label.clone());
        group = group.elements(shown(place, &[&labelled], sources, AnnotationKind::Context));
    }
    let patched = fix.as_ref().and_then(|fix| patched(fix, sources));
    let mut groups = Vec::new();
    match (patched, fix) {
        (Some(snippet), _) => {
            let title = if help.is_empty() { "replace it".to_owned() } else { clean(help) };
            groups.push(group);
            groups.push(Level::HELP.secondary_title(title).element(snippet));
        }
        (None, _) => {
            if !help.is_empty() {
                group = group.element(Level::HELP.message(clean(help)));
            }
            let words = fix.as_ref().map(|fix| format!("write `{}`", clean(&fix.replacement)));
            if let Some(words) = words.filter(|words| *words != clean(help)) {
                group = group.element(Level::HELP.message(words));
            }
            groups.push(group);
        }
    }
    groups
}

/// The place in words, and its lines where they are known.
fn shown<'a>(
    place: &Place,
    labels: &[&(Place, String)],
    sources: &dyn Fn(&str) -> Option<Arc<str>>,
    kind: AnnotationKind,
) -> Vec<Element<'a>> {
    let origin = Origin::path(clean(&place.file));
    if is_whole_file(place) {
        return vec![origin.into()];
    }
    let origin = origin.line(place.line as usize).char_column(place.column as usize);
    let primary = (kind == AnnotationKind::Primary).then_some(place);
    let places: Vec<&Place> =
        primary.into_iter().chain(labels.iter().map(|(place, _)| place)).collect();
    let Some(excerpt) = sources(&place.file).and_then(|source| excerpt(&source, &places)) else {
        return vec![origin.into()];
    };
    let texts = primary.map(|_| None).into_iter().chain(labels.iter().map(|(_, l)| Some(l)));
    let annotations = excerpt.spans.into_iter().zip(texts).map(|(span, label)| match label {
        None => kind.span(span),
        Some(label) => AnnotationKind::Context.span(span).label(clean(label)),
    });
    let annotations: Vec<Annotation<'_>> = annotations.collect();
    let snippet = Snippet::source(excerpt.text).line_start(excerpt.first).annotations(annotations);
    // The renderer counts columns in what it is given: after a cut they must come from us.
    if excerpt.exact {
        vec![snippet.path(clean(&place.file)).into()]
    } else {
        vec![origin.into(), snippet.into()]
    }
}

/// The lines with the fix in them; none for a fix over several lines.
fn patched<'a>(
    fix: &Fix,
    sources: &dyn Fn(&str) -> Option<Arc<str>>,
) -> Option<Snippet<'a, Patch<'a>>> {
    let Fix { place, replacement } = fix;
    if place.line != place.end_line || replacement.contains('\n') {
        return None;
    }
    let mut excerpt = excerpt(&sources(&place.file)?, &[place])?;
    let span = excerpt.spans.pop()?;
    let patch = Patch::new(span, clean(replacement));
    Some(Snippet::source(excerpt.text).line_start(excerpt.first).patch(patch))
}

fn is_whole_file(place: &Place) -> bool {
    *place == Place::file(Arc::clone(&place.file))
}
