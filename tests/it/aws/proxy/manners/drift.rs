//! Change sets that take what somebody did by hand back (`DeploymentMode=REVERT_DRIFT`): the server
//! does not know them. A tag of our own makes it carry every property out again; nobody but the
//! server sees that tag. What was deleted by hand is not made again.

use std::time::Duration;

use super::super::call::{Sent, element, escape};
use super::super::form::Form;
use super::{ask, ask_with, unescape};

/// The tag.
pub(super) const TAG: &str = "proxy:revert";

/// A resource that somebody changed.
#[derive(Clone)]
pub(super) struct Drifted {
    name: String,
    kind: String,
    physical: String,
    /// Path, what it should be, what it is.
    differences: Vec<[String; 3]>,
}

/// What differs in a stack from its template, by asking the server.
pub(super) async fn of(upstream: &str, sent: &Sent, stack: &str) -> Vec<Drifted> {
    let answer = ask(upstream, sent, "DetectStackDrift", stack).await;
    let Some(id) = answer.element("StackDriftDetectionId") else { return Vec::new() };
    loop {
        let action = "DescribeStackDriftDetectionStatus";
        let status = ask_with(upstream, sent, action, &[("StackDriftDetectionId", &id)]).await;
        match status.element("DetectionStatus").as_deref() {
            Some("DETECTION_IN_PROGRESS") => tokio::time::sleep(Duration::from_millis(10)).await,
            Some("DETECTION_COMPLETE") => break,
            _ => return Vec::new(),
        }
    }
    let text = ask(upstream, sent, "DescribeStackResourceDrifts", stack).await.text();
    let resources = text
        .split("<StackId>")
        .skip(1)
        .filter(|part| element(part, "StackResourceDriftStatus") == Some("MODIFIED"));
    resources.filter_map(read).collect()
}

fn read(part: &str) -> Option<Drifted> {
    let text = |part: &str, name: &str| Some(unescape(element(part, name)?));
    let differences = part.split("<PropertyPath>").skip(1).filter_map(|rest| {
        let path = unescape(rest.split('<').next()?);
        // In whatever order the other two come, they are of the same difference.
        let before = part.split(rest).next()?.rsplit("<member>").next()?;
        let around = format!("{before}{}", rest.split("</member>").next()?);
        Some([path, text(&around, "ExpectedValue")?, text(&around, "ActualValue")?])
    });
    Some(Drifted {
        name: text(part, "LogicalResourceId")?,
        kind: text(part, "ResourceType")?,
        physical: text(part, "PhysicalResourceId").unwrap_or_default(),
        differences: differences.collect(),
    })
}

/// The request with the tag.
pub(super) fn tagged(form: &Form, value: usize) -> Form {
    let mut form = form.clone();
    let next = (1..).find(|n| !form.contains_key(&format!("Tags.member.{n}.Key"))).unwrap_or(1);
    form.insert(format!("Tags.member.{next}.Key"), TAG.to_owned());
    form.insert(format!("Tags.member.{next}.Value"), value.to_string());
    form
}

/// A description without the tag.
pub(super) fn untagged(text: &str) -> String {
    let Some((before, rest)) = text.split_once(&format!("<Key>{TAG}</Key>")) else {
        return text.to_owned();
    };
    let before = before.strip_suffix("<member>").unwrap_or(before);
    let after = rest.split_once("</member>").map_or("", |(_, after)| after);
    untagged(&format!("{before}{after}"))
}

/// The description of a change set, with what it takes back in place of what the tag changes.
pub(super) fn describe(text: &str, drifted: &[Drifted]) -> String {
    let Some((before, rest)) = text.split_once("<Changes>") else { return text.to_owned() };
    let Some((_, after)) = rest.split_once("</Changes>") else { return text.to_owned() };
    let changes: String = drifted.iter().map(Drifted::change).collect();
    format!("{before}<Changes>{changes}</Changes>{after}")
}

impl Drifted {
    fn change(&self) -> String {
        let details: String = self
            .differences
            .iter()
            .map(|[path, expected, actual]| {
                let name = path.split('/').nth(1).unwrap_or_default();
                let [expected, actual] = [expected, actual].map(|value| escape(value));
                format!(
                    "<member><Target><Attribute>Properties</Attribute><Name>{name}</Name>\
                     <Path>/Properties{path}</Path><AttributeChangeType>Modify</AttributeChangeType>\
                     <RequiresRecreation>Never</RequiresRecreation>\
                     <BeforeValue>{actual}</BeforeValue><AfterValue>{expected}</AfterValue>\
                     <Drift><PreviousValue>{expected}</PreviousValue><ActualValue>{actual}</ActualValue>\
                     </Drift></Target><Evaluation>Static</Evaluation></member>"
                )
            })
            .collect();
        format!(
            "<member><Type>Resource</Type><ResourceChange><Action>Modify</Action>\
             <LogicalResourceId>{}</LogicalResourceId><PhysicalResourceId>{}</PhysicalResourceId>\
             <ResourceType>{}</ResourceType><Replacement>False</Replacement>\
             <Scope><member>Properties</member></Scope><ResourceDriftStatus>MODIFIED\
             </ResourceDriftStatus><Details>{details}</Details></ResourceChange></member>",
            self.name,
            escape(&self.physical),
            self.kind
        )
    }
}
