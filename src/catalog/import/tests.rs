use super::expression::Hbs;
use super::*;
use crate::catalog;

macro_rules! bundle {
    ($folder:literal: $($path:literal),* $(,)?) => {
        Files::from_iter([$(
            ($path, include_bytes!(concat!("../../../tests/import/", $folder, "/", $path)).to_vec())
        ),*])
    };
}

fn environment() -> Files {
    bundle!("proton-environment": "schema/schema.yaml", "infrastructure/manifest.yaml",
            "infrastructure/cloudformation.yaml")
}

fn service() -> Files {
    bundle!("proton-service": "schema/schema.yaml", "instance_infrastructure/manifest.yaml",
            "instance_infrastructure/cloudformation.yaml", "pipeline_infrastructure/manifest.yaml",
            "pipeline_infrastructure/cloudformation.yaml")
}

fn product() -> Files {
    bundle!("product": "queue.yaml")
}

fn wanted() -> Wanted {
    Wanted {
        name: "imported".into(),
        version: Version::new(1, 0, 0),
        stack_name: None,
        environment_template: Some("network".into()),
    }
}

#[track_caller]
fn of(format: Format, files: &Files) -> Imported {
    let imported = import(format, files, &wanted()).unwrap_or_else(|e| panic!("{e:#?}"));
    let mut all = Files::default();
    all.insert(
        "catalog.yaml",
        &b"apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: x}\nspec: {format: 1}\n"[..],
    );
    for (path, bytes) in &imported.files {
        all.insert(format!("templates/imported/1.0.0/{path}"), bytes.clone());
    }
    let (_, problems) = catalog::load(&all, None);
    let errors: Vec<_> = problems.iter().filter(|p| p.is_error()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    imported
}

fn text(imported: &Imported, path: &str) -> String {
    String::from_utf8(imported.files[path].to_vec()).unwrap()
}

fn schema_of(imported: &Imported) -> Value {
    serde_json::from_str(&text(imported, "schema.json")).unwrap()
}

fn notes(imported: &Imported) -> Vec<String> {
    let told = imported.notes.iter();
    told.map(|n| format!("{}:{} {} {}", n.place.file, n.place.line, n.code, n.message)).collect()
}

#[track_caller]
fn says(imported: &Imported, text: &str) {
    let notes = notes(imported);
    assert!(notes.iter().any(|note| note.contains(text)), "{text}\n{notes:#?}");
}

#[test]
fn a_proton_environment_becomes_a_template() {
    let imported = of(Format::Proton, &environment());
    let schema = schema_of(&imported);
    assert_eq!(schema["required"], json!(["zones"]));
    assert_eq!(schema["properties"]["peer"], json!({"$ref": "#/$defs/Peer"}));
    assert_eq!(schema["properties"]["days"]["exclusiveMinimum"], json!(0));
    assert_eq!(schema["properties"]["days"]["type"], json!(["integer", "null"]));
    assert_eq!(schema["properties"]["zones"]["examples"], json!([["a", "b"]]));
    let source = text(&imported, "stack.yaml.hbs");
    for line in [
        "Description: The network of {{request.name}}.",
        "      CidrBlock: \"{{parameters.vpc_cidr}}\"",
        "      EnableDnsSupport: {{#if (and (eq parameters.size \"large\") (not parameters.flow_logs))}}true{{else}}false{{/if}}",
        "        {{#each parameters.zones as |zone|}}",
        "        - Key: \"zone-{{@index}}\"",
        "          Value: \"{{upper zone}}-{{@root.parameters.size}}\"",
        "        {{#if (ne parameters.days null)}}",
        "        {{else if (eq parameters.size \"large\")}}",
        "      Value: \"\\{{resolve:ssm:/network/token}}\"",
    ] {
        assert!(source.lines().any(|found| found == line), "{line}\n{source}");
    }
    says(&imported, "cloudformation.yaml:26 IMP002 the filter `truncate` has no counterpart here");
    says(
        &imported,
        "cloudformation.yaml:29 IMP002 `environment.account_id` has no counterpart here",
    );
    says(&imported, "schema.yaml:40 IMP002 `discriminator` of `Peer`");
    // What is lost is switched off, not left on.
    assert!(source.contains(" --}}\n  {{#if false}}\n  Role:"), "{source}");
    let template = text(&imported, "template.yaml");
    assert!(
        template.contains("VpcId:\n      description: The id of the VPC.\n      from: stack.VpcId"),
        "{template}"
    );
    assert!(template.contains("CAPABILITY_NAMED_IAM"), "{template}");
}

#[test]
fn what_was_set_outside_a_loop_means_the_same_within() {
    let text = "{% set size = a.size %}{% set large = a.size == b %}{% for zone in a.zones %}{{ size }} {{ size.x }} {% if large %}{{ zone }}{% endif %}{% endfor %}{{ size }}\n";
    let mut lookup = |path: &[String]| Ok((Hbs::Path(path.join(".")), None));
    let translated = jinja::translate("a", text, &mut lookup);
    assert_eq!(
        translated.text,
        "{{#each a.zones as |zone|}}{{@root.a.size}} {{@root.a.size.x}} {{#if (eq @root.a.size @root.b)}}{{zone}}{{/if}}{{/each}}{{a.size}}\n"
    );
}

#[test]
fn a_proton_service_takes_the_environments_outputs_as_parameters() {
    let imported = of(Format::Proton, &service());
    let schema = schema_of(&imported);
    assert_eq!(schema["properties"]["vpcId"]["x-reference"], json!({"template": "network"}));
    assert_eq!(schema["required"], json!(["vpcId"]));
    let source = text(&imported, "stack.yaml.hbs");
    assert!(source.contains("QueueName: \"{{request.name}}-{{environment.name}}\""), "{source}");
    assert!(source.contains("Value: \"{{default parameters.label \"none\"}}\""), "{source}");
    says(
        &imported,
        "cloudformation.yaml:8 IMP003 the environment's output `VpcId` became the parameter `vpcId`",
    );
    says(
        &imported,
        "pipeline_infrastructure/cloudformation.yaml:1 IMP002 a pipeline has no counterpart",
    );
    says(&imported, "schema.yaml:17 IMP002 the inputs of a pipeline");
    says(&imported, "the pattern of `label` looks around");
}

#[test]
fn a_products_parameters_become_a_schema_and_stay() {
    let imported = of(Format::ServiceCatalog, &product());
    let schema = schema_of(&imported);
    let of = |name: &str| schema["properties"][name].clone();
    assert_eq!(
        of("Retention"),
        json!({"type": "number", "minimum": 60, "maximum": 1209600, "default": 60,
               "title": "Seconds to keep messages",
               "description": "How long a message is kept, in seconds."})
    );
    assert_eq!(of("Stage"), json!({"type": "string", "enum": ["dev", "prod"]}));
    assert_eq!(of("Owners")["default"], json!(["ada", "grace"]));
    assert_eq!(of("Label")["pattern"], json!("^(?:[a-z]+)$"));
    assert_eq!(schema["required"], json!(["Stage"]));
    let source = text(&imported, "stack.yaml.hbs");
    for line in [
        "  # How long nobody need come.",
        "    \"Default\": \"{{parameters.Retention}}\"",
        "  Stage: {\"Default\": \"{{parameters.Stage}}\", Type: String, AllowedValues: [dev, prod]}",
        "    \"Default\": \"{{join parameters.Owners ','}}\"",
        "        - {Key: label, Value: !Sub \"${Label}-${Stage}-${Odd}\"}",
    ] {
        assert!(source.lines().any(|found| found == line), "{line}\n{source}");
    }
    says(&imported, "queue.yaml:27 IMP002 the pattern of `Odd` looks around");
    assert_eq!(imported.notes.len(), 1, "{:#?}", notes(&imported));
}

#[test]
fn secrets_of_a_product_keep_no_default() {
    let source = "Parameters:\n  Password:\n    Type: String\n    NoEcho: true\n    Default: hunter2\n  Image: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /x}\nResources:\n  R: {Type: 'AWS::SQS::Queue', Properties: {Name: '{{resolve:ssm:x}}'}}\n";
    let imported =
        of(Format::ServiceCatalog, &Files::from_iter([("a.template", source.as_bytes())]));
    let schema = schema_of(&imported);
    assert_eq!(schema["properties"]["Password"], json!({"type": "string", "x-sensitive": true}));
    says(&imported, "a.template:2 IMP002 the default of the secret `Password` was left out");
    says(&imported, "a.template:6 IMP003 `Image` names a parameter of SSM");
    let source = text(&imported, "stack.yaml.hbs");
    assert!(!source.contains("hunter2") && source.contains("\\{{resolve:ssm:x}}"), "{source}");
}

#[test]
fn definitions_of_azure_keep_their_sources() {
    let files = bundle!("ade": "environment.yaml", "bicep/main.bicep");
    let imported = of(Format::Ade, &files);
    let schema = schema_of(&imported);
    assert_eq!(schema["required"], json!(["name"]));
    assert_eq!(
        schema["properties"]["runtime"],
        json!({"type": "string", "enum": ["dotnet", "node"], "default": "node"})
    );
    assert!(text(&imported, "template.yaml").contains("provider: bicep\n      source: source\n"));
    assert!(imported.files.contains_key("source/bicep/main.bicep"));
    says(&imported, "environment.yaml:19 IMP002 the default of `instances` does not keep");
    says(&imported, "IMP002 `sensitive` of `instances`");
    says(&imported, "environment.yaml:5 IMP003 there is no provider `bicep` yet");

    let twice = "name: a\nrunner: Bicep\ntemplatePath: main.bicep\nparameters:\n- {id: size, type: string, required: true}\n- {id: zone, type: string}\n- {id: size, type: integer, required: true}\n";
    let files = [("environment.yaml", twice.as_bytes()), ("main.bicep", b"x\n".as_slice())];
    let imported = of(Format::Ade, &Files::from_iter(files));
    assert_eq!(schema_of(&imported)["required"], json!(["size"]));
    says(&imported, "environment.yaml:7 IMP002 `size` is listed twice: the last one counts");

    let files = bundle!("ade-arm": "manifest.yaml", "azuredeploy.json");
    let imported = of(Format::Ade, &files);
    let schema = schema_of(&imported);
    assert_eq!(schema["required"], json!(["name", "key"]));
    assert_eq!(schema["properties"]["key"]["x-sensitive"], json!(true));
    says(&imported, "azuredeploy.json:6 IMP002 the default of `location` is computed by Azure");
}

#[test]
fn what_is_no_bundle_is_refused_with_its_place() {
    let refused = |format, files: &[(&str, &str)]| {
        let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec()));
        let problems = import(format, &files.collect(), &wanted()).unwrap_err();
        problems
            .iter()
            .map(|p| format!("{}:{} {}", p.place.file, p.place.line, p.message))
            .collect::<String>()
    };
    assert!(refused(Format::Proton, &[]).contains("schema/schema.yaml:1"));
    let schema = ("schema/schema.yaml", "schema:\n  types: {}\n");
    assert!(refused(Format::Proton, &[schema]).contains("names neither"));
    assert!(refused(Format::Ade, &[]).contains("environment.yaml"));
    let manifest = ("environment.yaml", "name: x\nrunner: ARM\ntemplatePath: a.json\n");
    assert!(refused(Format::Ade, &[manifest]).contains("environment.yaml:3 it names `a.json`"));
    assert!(refused(Format::ServiceCatalog, &[("a.yaml", "a: 1\n")]).contains("no file here"));
    let two = [("a.yaml", "Resources: {}\n"), ("b.yaml", "Resources: {}\n")];
    assert!(refused(Format::ServiceCatalog, &two).contains("2 CloudFormation templates"));
    assert!(refused(Format::ServiceCatalog, &[("a.yaml", "a: [\n")]).contains("a.yaml"));
}

/// Whatever a source holds, every tag of it is either translated or a comment.
#[test]
fn odd_sources_are_never_passed_on() {
    let mut lookup = |path: &[String]| match path {
        [only] if only == "x" => Ok((expression::Hbs::Path("parameters.x".into()), None)),
        _ => Err(path.join(".")),
    };
    for (source, expected) in [
        ("a: {{ x", "a: {{!-- not imported, see IMPORT.md: {{ x --}}"),
        ("{{ x(1) }}", "{{!-- not imported, see IMPORT.md: {{ x(1) }} --}}"),
        ("{{ '}}' }}", "{{!-- not imported, see IMPORT.md: {{ '}}' }} --}}"),
        ("{{ \"a\" }}", "a"),
        ("{{ x if y else z }}", "{{!-- not imported, see IMPORT.md: {{ x if y else z }} --}}"),
        ("{% include 'a' %}b", "{{!-- not imported, see IMPORT.md: {% include 'a' %} --}}b"),
        (
            "{% if y %}a{% else %}b{% endif %}",
            "{{!-- not imported, see IMPORT.md: {% if y %} --}}{{#if false}}a{{!-- not imported, see IMPORT.md: {% else %} --}}{{else if false}}b{{/if}}",
        ),
        (
            "{% for k, v in x.items() %}{{ k }}={{ v.a }}{% endfor %}",
            "{{!-- not imported, see IMPORT.md: {% for k, v in x.items() %} --}}{{#if false}}{{!-- not imported, see IMPORT.md: {{ k }} --}}={{!-- not imported, see IMPORT.md: {{ v.a }} --}}{{/if}}",
        ),
        ("{% endif %}", "{{!-- not imported, see IMPORT.md: {% endif %} --}}"),
        ("{%- if not x -%}a{%- endif -%}", "{{~#if (not x)~}}a{{~/if~}}"),
        ("{{- x -}}", "{{~parameters.x~}}"),
        ("{# a -- b #}", "{{!-- a - - b --}}"),
    ] {
        let translated = jinja::translate("f", source, &mut lookup).text;
        let expected = expected.replace("(not x)", "(not parameters.x)");
        let items = expected.contains("x.items()");
        if items {
            // Pairs of a name that is known are carried over.
            assert_eq!(translated, "{{#each parameters.x as |v k|}}{{k}}={{v.a}}{{/each}}");
        } else {
            assert_eq!(translated, expected, "{source}");
        }
    }
}

/// What dashes take away there is gone here too, and nothing else is: a tag that is alone on its line takes
/// that line with it here, which no dash says.
#[test]
fn white_space_goes_where_dashes_say_so() {
    let mut lookup = |path: &[String]| match path {
        [only] if only == "yes" || only == "no" || only == "all" => {
            Ok((expression::Hbs::Path(only.clone()), None))
        }
        _ => Err(path.join(".")),
    };
    let mut engine = handlebars::Handlebars::new();
    engine.register_escape_fn(handlebars::no_escape);
    let values = json!({"yes": true, "no": false, "all": ["a", "b"]});
    for (source, expected) in [
        ("a: 1\n{%- if yes %}\nb: 2\n{%- endif %}\nc: 3\n", "a: 1\nb: 2\nc: 3\n"),
        ("a: 1\n{%- if no %}\nb: 2\n{%- endif %}\nc: 3\n", "a: 1\nc: 3\n"),
        ("a: 1\n{% if yes -%}\nb: 2\n{% endif -%}\nc: 3\n", "a: 1\nb: 2\nc: 3\n"),
        ("a: 1\n  {% if yes -%}\n  b: 2\n  {% endif -%}\n  c: 3\n", "a: 1\n  b: 2\n  c: 3\n"),
        ("a: [{%- for x in all -%}\n  {{ x }},\n{%- endfor -%}\n]\n", "a: [a,b,]\n"),
        ("a: {% if no -%} 1 {%- else -%} 2 {%- endif %} x\n", "a: 2 x\n"),
        ("a: {% if no -%} 1 {%- elif yes -%} 3 {%- else -%} 2 {%- endif %} x\n", "a: 3 x\n"),
        // Of two beside one another the first is alone on its line no more.
        ("x: 1 {% if yes -%}\n{% if yes %}\ny: 2{% endif %}{% endif %}\n", "x: 1 \ny: 2\n"),
        ("a\n  {% if yes %}\n{%- if yes -%}\n b{% endif %}{% endif %}\n", "a\n  b\n"),
        // What stands for no tag takes it as well.
        ("a \n{%- set v = yes -%}\n b {{- v -}} c\n", "abtruec\n"),
        ("a\n{#- of old -#}\nb\n", "ab\n"),
        ("a\n{{- \"b\" -}}\nc\n", "abc\n"),
        ("a\n{%- raw -%}\n {{ b }} \n{%- endraw -%}\nc\n", "a{{ b }}c\n"),
        ("a {% raw -%} {{ b }} {% endraw %} c\n", "a {{ b }}  c\n"),
    ] {
        let translated = jinja::translate("f", source, &mut lookup);
        assert!(translated.notes.is_empty(), "{source}: {:?}", translated.notes);
        let made = engine.render_template(&translated.text, &values).unwrap();
        assert_eq!(made, expected, "{source}\n{}", translated.text);
    }
    // A block that is switched off goes with the white space around it.
    let off = "a\n{%- if odd() -%}\nb\n{%- endif -%}\nc\n";
    let translated = jinja::translate("f", off, &mut lookup).text;
    assert_eq!(engine.render_template(&translated, &values).unwrap(), "ac\n", "{translated}");
    // Where a note points is not moved by what is left out.
    let notes =
        jinja::translate("f", "a\n{%- if yes -%}\n\n{{ odd() }}{% endif %}\n", &mut lookup).notes;
    assert_eq!(notes.iter().map(|note| note.place.line).collect::<Vec<_>>(), [4]);
}
